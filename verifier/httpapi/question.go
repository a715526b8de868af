package httpapi

import (
	"net/netip"

	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/httpapi/internal/strictjson"
)

// question is what is asked, and the memory for its lists.
type question struct {
	request      verifier.Request
	allOf, anyOf []string
	fieldset
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
	if err := readRoot(q, r, subject, (*question).field); err != nil {
		return err
	}
	q.request.Scopes = verifier.Scopes{AllOf: q.allOf, AnyOf: q.anyOf}
	return nil
}

// field reads a field of the question itself.
func (q *question) field(r *strictjson.Reader, name []byte) error {
	switch string(name) {
	case "key":
		return q.text(r, seenKey, "key", &q.request.Key)
	case "scopes":
		return readObject(q, &q.fieldset, r, seenScopes, "scopes", (*question).scopesField)
	case "workspace":
		return q.text(r, seenWorkspace, "workspace", &q.request.Workspace)
	case "resource":
		return q.text(r, seenResource, "resource", &q.request.Resource)
	case "clientIP":
		return q.address(r)
	case "cost":
		return readObject(q, &q.fieldset, r, seenCost, "cost", (*question).costField)
	case "labels":
		return readObject(q, &q.fieldset, r, seenLabels, "labels", (*question).labelsField)
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
