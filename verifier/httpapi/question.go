package httpapi

import (
	"errors"
	"net/netip"
	"strconv"

	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/httpapi/internal/strictjson"
)

// question is what is asked, and the memory for its lists.
type question struct {
	request      verifier.Request
	allOf, anyOf []string
	seen         uint32 // the fields that were there
}

func (q *question) reset() {
	clear(q.allOf)
	clear(q.anyOf)
	*q = question{allOf: kept(q.allOf, maxKeptTexts), anyOf: kept(q.anyOf, maxKeptTexts)}
}

// The fields of a question, each a bit.
const (
	seenKey = 1 << iota
	seenScopes
	seenAllOf
	seenAnyOf
	seenWorkspace
	seenResource
	seenClientIP
	seenCost
	seenRequests
	seenSpend
	seenLabels
	seenTier
	seenDomain
	seenExplain
)

// decode reads a whole question. It is strict: what it does not know, or is there twice, is
// refused, because a misspelt "scopes" that is ignored is a check that is not made. null is
// as good as nothing. The subject is what the question is called in errors.
func (q *question) decode(r *strictjson.Reader, subject string) error {
	q.reset()
	if err := beginBody(r, subject); err != nil {
		return err
	}
	if err := q.fields(r, (*question).field); err != nil {
		return err
	}
	if !r.End() {
		return errTail
	}
	q.request.Scopes = verifier.Scopes{AllOf: q.allOf, AnyOf: q.anyOf}
	return nil
}

// beginBody begins an object that must be there.
func beginBody(r *strictjson.Reader, subject string) error {
	some, err := r.Object()
	if err == nil && !some {
		err = strictjson.ErrType // null
	}
	return explain(r, err, subject, "a JSON object")
}

var errTail = malformed("something follows the JSON object")

// field reads a field of the question itself.
func (q *question) field(r *strictjson.Reader, name []byte) error {
	switch string(name) {
	case "key":
		return q.text(r, seenKey, "key", &q.request.Key)
	case "scopes":
		return q.object(r, seenScopes, "scopes", (*question).scopesField)
	case "workspace":
		return q.text(r, seenWorkspace, "workspace", &q.request.Workspace)
	case "resource":
		return q.text(r, seenResource, "resource", &q.request.Resource)
	case "clientIP":
		return q.address(r)
	case "cost":
		return q.object(r, seenCost, "cost", (*question).costField)
	case "labels":
		return q.object(r, seenLabels, "labels", (*question).labelsField)
	case "explain":
		return q.flag(r, seenExplain, "explain", &q.request.Explain)
	}
	return unknownField("", name)
}

func (q *question) scopesField(r *strictjson.Reader, name []byte) error {
	switch string(name) {
	case "allOf":
		return q.list(r, seenAllOf, "scopes.allOf", &q.allOf)
	case "anyOf":
		return q.list(r, seenAnyOf, "scopes.anyOf", &q.anyOf)
	}
	return unknownField("scopes.", name)
}

func (q *question) costField(r *strictjson.Reader, name []byte) error {
	switch string(name) {
	case "requests":
		return q.number(r, seenRequests, "cost.requests", &q.request.Cost.Requests)
	case "spendMicrocents":
		return q.number(r, seenSpend, "cost.spendMicrocents", &q.request.Cost.SpendMicrocents)
	}
	return unknownField("cost.", name)
}

func (q *question) labelsField(r *strictjson.Reader, name []byte) error {
	switch string(name) {
	case "tier":
		return q.text(r, seenTier, "labels.tier", &q.request.Labels.Tier)
	case "domain":
		return q.text(r, seenDomain, "labels.domain", &q.request.Labels.Domain)
	}
	return unknownField("labels.", name)
}

// once marks a field as seen.
func (q *question) once(field uint32, name string) error {
	if q.seen&field != 0 {
		return malformed(name + " is there twice")
	}
	q.seen |= field
	return nil
}

func (q *question) object(r *strictjson.Reader, field uint32, name string, read func(*question, *strictjson.Reader, []byte) error) error {
	if err := q.once(field, name); err != nil {
		return err
	}
	some, err := r.Object()
	if !some {
		return explain(r, err, name, "a JSON object")
	}
	return q.fields(r, read)
}

func (q *question) fields(r *strictjson.Reader, read func(*question, *strictjson.Reader, []byte) error) error {
	for {
		name, more, err := r.Field()
		if !more {
			return explain(r, err, "", "")
		}
		if err := read(q, r, name); err != nil {
			return err
		}
	}
}

func (q *question) text(r *strictjson.Reader, field uint32, name string, into *string) error {
	if err := q.once(field, name); err != nil {
		return err
	}
	text, err := r.Text()
	*into = text
	return explain(r, err, name, "a string")
}

func (q *question) number(r *strictjson.Reader, field uint32, name string, into *int64) error {
	if err := q.once(field, name); err != nil {
		return err
	}
	n, err := r.Int()
	*into = n
	return explain(r, err, name, "a whole number")
}

func (q *question) flag(r *strictjson.Reader, field uint32, name string, into *bool) error {
	if err := q.once(field, name); err != nil {
		return err
	}
	set, err := r.Bool()
	*into = set
	return explain(r, err, name, "true or false")
}

func (q *question) list(r *strictjson.Reader, field uint32, name string, into *[]string) error {
	const kind = "a list of strings"
	if err := q.once(field, name); err != nil {
		return err
	}
	some, err := r.List()
	if !some {
		return explain(r, err, name, kind)
	}
	for {
		more, err := r.Item()
		if !more {
			return explain(r, err, name, kind)
		}
		text, err := r.Text()
		if err != nil {
			return explain(r, err, name, kind)
		}
		*into = append(*into, text)
	}
}

func (q *question) address(r *strictjson.Reader) error {
	var text string
	if err := q.text(r, seenClientIP, "clientIP", &text); err != nil || text == "" {
		return err
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return malformed("clientIP must be an IP address")
	}
	q.request.ClientIP = address
	return nil
}

// explain turns what went wrong with reading into words that hold nothing of what was read.
func explain(r *strictjson.Reader, err error, name, kind string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, strictjson.ErrType):
		return malformed(name + " must be " + kind)
	case errors.Is(err, strictjson.ErrDepth):
		return malformed("the body is nested too deeply")
	case r.Empty():
		return malformed(`the body is empty; send a JSON object such as {"key": "..."}`)
	}
	return malformed("the body is not JSON: there is a mistake after byte " + strconv.Itoa(r.Offset()))
}

func unknownField(path string, name []byte) error {
	return malformed("unknown field " + quoteName(path+string(name)))
}

// quoteName repeats the name of a field to whoever misspelt it, unless it might be a key
// that ended up in the wrong place.
func quoteName(name string) string {
	const longest = 32 // shorter than any key
	if name == "" || len(name) > longest {
		return "of this name"
	}
	for _, c := range name {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return "of this name"
		}
	}
	return `"` + name + `"`
}
