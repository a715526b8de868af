package httpapi

import (
	"net/http"

	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/internal/fields"
)

// header gathers the header fields of an answer. All of their values are made in two pieces
// of memory, however many there are: net/http keeps them until it has sent the answer, so they
// cannot be used again.
type header struct {
	fields []field
	text   []byte // of the values that are put together
}

type field struct {
	name  string // in its canonical form
	value string
	// The part of the text that is the value, where it is put together.
	from, to int
}

func (h *header) reset() {
	clear(h.fields)
	h.fields, h.text = h.fields[:0], kept(h.text, maxKeptBytes)
}

// add adds a field with a value that there is already. No field may be added twice.
func (h *header) add(name, value string) {
	h.fields = append(h.fields, field{name: name, value: value})
}

// put adds a field with a value that was appended to the header's text.
func (h *header) put(name string, text []byte) {
	h.fields = append(h.fields, field{name: name, from: len(h.text), to: len(text)})
	h.text = text
}

// putSome is put, but adds no field that is empty.
func (h *header) putSome(name string, text []byte) {
	if len(text) > len(h.text) {
		h.put(name, text)
	}
}

// write sets all fields.
func (h *header) write(to http.Header) {
	text := string(h.text)
	values := make([]string, len(h.fields))
	for i := range h.fields {
		field := &h.fields[i]
		values[i] = field.value
		if field.to > field.from {
			values[i] = text[field.from:field.to]
		}
		to[field.name] = values[i : i+1 : i+1]
	}
}

// limits adds how the limits stand, and how long to wait where that is asked.
func (h *header) limits(d *verifier.Decision) {
	h.putSome("Retry-After", fields.AppendRetryAfter(h.text, d))
	if d.Limits.Len() > 0 {
		h.put("Ratelimit-Policy", fields.AppendRateLimitPolicy(h.text, d))
		h.put("Ratelimit", fields.AppendRateLimit(h.text, d))
	}
}

// identity tells whose key it is. All fields are always there, empty where they say nothing: a
// gateway that copies them over those of the client then leaves none that the client made up.
func (h *header) identity(key *verifier.Key) {
	for i, name := range fields.IdentityNames {
		h.put(name, fields.AppendIdentity(h.text, i, key))
	}
}

// removeIdentity removes the fields that identity writes.
func removeIdentity(from http.Header) {
	for _, name := range fields.IdentityNames {
		delete(from, name)
	}
}
