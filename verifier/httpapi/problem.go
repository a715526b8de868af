package httpapi

import (
	"errors"
	"net/http"

	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/httpapi/internal/strictjson"
	"github.com/claviger-dev/claviger/verifier/internal/fields"
)

// problem answers with an error. The text must hold nothing of what was sent.
func (x *exchange) problem(status int, code, text string) {
	x.status, x.code, x.told, x.contentType = status, code, text, typeJSON
	x.out = appendProblem(x.out[:0], code, text, x.requestID)
}

// appendProblem appends the body of every answer that is an error.
func appendProblem(b []byte, code, text, requestID string) []byte {
	b = append(b, `{"error":`...)
	b = strictjson.AppendString(b, text)
	b = append(b, `,"code":`...)
	b = strictjson.AppendString(b, code)
	b = append(b, `,"requestId":`...)
	b = strictjson.AppendString(b, requestID)
	return append(b, '}')
}

// invalid is a request that makes no sense, said in words for whoever sent it. They hold
// nothing of what was sent but the names of fields.
type invalid struct {
	status int
	text   string
}

func (e *invalid) Error() string { return e.text }

func malformed(text string) error { return &invalid{http.StatusBadRequest, text} }

// invalidRequest answers a request that makes no sense, or that could not be read in time.
func (x *exchange) invalidRequest(err error) {
	if errors.Is(err, errOverloaded) {
		if x.gate != nil {
			x.gate.shed.Inc()
		}
		x.overloaded()
		return
	}
	status := http.StatusBadRequest
	if i := (*invalid)(nil); errors.As(err, &i) {
		status = i.status
	}
	code := policy.CodeRequestInvalid
	x.problem(status, code.String(), code.Message()+": "+err.Error())
}

const headerChallenge = "Www-Authenticate"

// refuse answers what a decision that is not VALID means for the bearer of the key.
func (x *exchange) refuse(d *verifier.Decision, required *verifier.Scopes) {
	code := d.Code.Public()
	x.header.putSome(headerChallenge, fields.AppendChallenge(x.header.text, code, required))
	x.problem(d.Status, code.String(), d.Error)
}

// refuseInvalid answers the bearer of a key whose request makes no sense.
func (x *exchange) refuseInvalid(err error) {
	x.header.put(headerChallenge, fields.AppendChallenge(x.header.text, policy.CodeRequestInvalid, nil))
	x.invalidRequest(err)
}
