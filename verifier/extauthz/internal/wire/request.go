// Package wire reads an envoy.service.auth.v3.CheckRequest and writes a CheckResponse, each in one
// pass over the bytes. To make the generated messages out of a request costs more than all that is
// then done about it.
package wire

import "strings"

// Request is what is read of a CheckRequest. All bytes are parts of the message that was read.
type Request struct {
	// Source is the address of attributes.source; empty: it is none of a socket.
	Source []byte
	// ID and Path are those of attributes.request.http.
	ID, Path []byte
	// Extensions are attributes.context_extensions in the order of the message. It is a map: of two
	// with one name the later one counts.
	Extensions []Pair
	// Own are the names of headers that only we may set.
	Own [][]byte

	headers [headers]header
	entry   Pair   // of a map, while it is read
	value   []byte // of a raw header, while it is read
}

// Pair is an entry of a map.
type Pair struct{ Name, Value []byte }

// header is what is known of one that matters. Envoy sends a map, in which it has joined
// equal ones, or else a list of raw ones.
type header struct {
	joined []byte
	raw    [][]byte
}

// Header is one that matters.
type Header uint8

// The headers that matter.
const (
	APIKey Header = iota
	Authorization
	WorkspaceID
	OrganizationID
	ForwardedFor
	RequestID
	RequiredScope
	headers
)

func headerNamed(name []byte) (h Header, matters bool) {
	switch string(name) {
	case "x-api-key":
		return APIKey, true
	case "authorization":
		return Authorization, true
	case "x-workspace-id":
		return WorkspaceID, true
	case "x-organization-id":
		return OrganizationID, true
	case "x-forwarded-for":
		return ForwardedFor, true
	case "x-request-id":
		return RequestID, true
	case "x-claviger-required-scope":
		return RequiredScope, true
	}
	return 0, false
}

// ownPrefix begins the names of our headers.
const ownPrefix = "x-claviger-"

// alike are what CGI and what took after it make of a hyphen: such a service reads X_Claviger and
// X.Claviger as X-Claviger. They are all that a header's name may hold but letters and digits.
const alike = "-_.!#$%&'*+^`|~"

func isOwn(name []byte) bool {
	if len(name) < len(ownPrefix) || name[0] != 'x' {
		return false
	}
	for i := range len(ownPrefix) {
		c := name[i]
		if strings.IndexByte(alike, c) >= 0 {
			c = '-'
		}
		if c != ownPrefix[i] {
			return false
		}
	}
	return true
}

// AppendValues appends the values of a header, in order.
func (r *Request) AppendValues(values []string, h Header) []string {
	if joined := r.headers[h].joined; len(joined) > 0 {
		values = append(values, string(joined))
	}
	for _, raw := range r.headers[h].raw {
		values = append(values, string(raw))
	}
	return values
}

// Reset forgets the message and keeps the memory, unless an uncommon message needed much of it.
func (r *Request) Reset() {
	const most = 64
	r.Source, r.ID, r.Path, r.entry, r.value = nil, nil, nil, Pair{}, nil
	r.Extensions, r.Own = cleared(r.Extensions, most), cleared(r.Own, most)
	for i := range r.headers {
		r.headers[i].joined = nil
		r.headers[i].raw = cleared(r.headers[i].raw, most)
	}
}

func cleared[T any](list []T, most int) []T {
	if cap(list) > most {
		return nil
	}
	clear(list)
	return list[:0]
}

// setHeader keeps an entry of the map of headers.
func (r *Request) setHeader(name, value []byte) {
	if h, matters := headerNamed(name); matters {
		r.headers[h].joined = value
	}
	r.addOwn(name)
}

// addHeader keeps a raw header.
func (r *Request) addHeader(name, value []byte) {
	if h, matters := headerNamed(name); matters {
		r.headers[h].raw = append(r.headers[h].raw, value)
	}
	r.addOwn(name)
}

func (r *Request) addOwn(name []byte) {
	if isOwn(name) {
		r.Own = append(r.Own, name)
	}
}
