package httpapi

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/httpapi/internal/strictjson"
	"github.com/claviger-dev/claviger/verifier/internal/fields"
	"github.com/claviger-dev/claviger/verifier/internal/presented"
)

// introspect tells a service whether a key is good and what it may do, as RFC 7662 has it, and
// takes nothing for it. Whatever is wrong with a key, the answer is the same.
func (h *handler) introspect(x *exchange) {
	err := x.readBody(maxBody)
	if err == nil {
		err = x.question.readForm(x.Header, string(x.in))
	}
	if err != nil {
		x.invalidRequest(err)
		return
	}
	x.bears(x.question.request.Key)
	x.decision = h.verifier.Inspect(x.Context(), x.question.request)
	d := &x.decision
	x.status, x.code, x.contentType = http.StatusOK, d.Code.String(), typeJSON
	if d.Valid() {
		x.out = x.appendIntrospection(x.out[:0], &d.Key)
	} else {
		x.out = append(x.out[:0], `{"active":false}`...)
	}
}

var errForm = malformed("send token=... as application/x-www-form-urlencoded")

// readForm reads the parameters of RFC 7662 section 2.1, and client_ip as the context that the
// section allows for. As RFC 6749 section 3.2 demands, others are ignored, and none may be there twice.
func (q *question) readForm(header http.Header, form string) error {
	contentType, _, _ := strings.Cut(first(header["Content-Type"]), ";")
	if !strings.EqualFold(strings.TrimSpace(contentType), "application/x-www-form-urlencoded") {
		return errForm
	}
	for form != "" {
		var pair string
		pair, form, _ = strings.Cut(form, "&")
		name, value, ok := presented.QueryPair(pair)
		if !ok {
			return errForm
		}
		if err := q.formField(name, value); err != nil {
			return err
		}
	}
	if q.request.Key == "" {
		return errForm
	}
	return nil
}

func (q *question) formField(name, value string) error {
	switch name {
	case "token":
		q.request.Key = value
		return q.once(seenKey, name)
	case "client_ip":
		address, err := netip.ParseAddr(value)
		if err != nil {
			return malformed("client_ip must be an IP address")
		}
		q.request.ClientIP = address
		return q.once(seenClientIP, name)
	}
	return nil
}

// appendIntrospection appends the answer of RFC 7662 section 2.2 about a good key. The
// extension member "key" is what /v1/verify tells of it.
func (x *exchange) appendIntrospection(b []byte, key *verifier.Key) []byte {
	b = append(b, `{"active":true,"scope":`...)
	b = strictjson.AppendString(b, fields.AppendWords(x.header.text, key.Scopes)[len(x.header.text):])
	b = append(key.ID.Append(append(b, `,"client_id":"`...)), '"')
	b = strictjson.AppendString(append(b, `,"sub":`...), subjectOf(key))
	b = append(b, `,"token_type":"Bearer"`...)
	if !key.ExpiresAt.IsZero() {
		b = strconv.AppendInt(append(b, `,"exp":`...), key.ExpiresAt.Unix(), 10)
	}
	b = x.appendKey(append(b, `,"key":`...), key)
	return append(b, '}')
}

// subjectOf is on whose behalf a key acts. A prefix keeps accounts and keys of the same name
// apart.
func subjectOf(key *verifier.Key) string {
	if key.ServiceAccount != "" {
		return "serviceaccount:" + key.Namespace + "/" + key.ServiceAccount
	}
	return "apikey:" + key.Namespace + "/" + key.Name
}
