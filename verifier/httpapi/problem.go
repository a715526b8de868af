package httpapi

import (
	"errors"
	"net/http"

	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/internal/fields"
)

// problemBody is the body of every answer that is an error.
type problemBody struct {
	Error     string `json:"error"`
	Code      string `json:"code"`
	RequestID string `json:"requestId"`
}

func problem(r *http.Request, status int, code, text string) answer {
	return answer{status: status, code: code, body: problemBody{text, code, requestID(r)}}
}

// invalid is a request that makes no sense, said in words for whoever sent it. They hold
// nothing of what was sent but the names of fields.
type invalid struct {
	status int
	text   string
}

func (e *invalid) Error() string { return e.text }

func malformed(text string) error { return &invalid{http.StatusBadRequest, text} }

// refuseRequest answers a request that makes no sense.
func refuseRequest(r *http.Request, err error) answer {
	status := http.StatusBadRequest
	if i := (*invalid)(nil); errors.As(err, &i) {
		status = i.status
	}
	code := policy.CodeRequestInvalid
	return problem(r, status, code.String(), code.Message()+": "+err.Error())
}

func notFound(r *http.Request) answer {
	return problem(r, http.StatusNotFound, "NOT_FOUND", "There is nothing here. Ask POST /v1/verify or /v1/auth.")
}

func methodNotAllowed(allowed string) func(*http.Request) answer {
	return func(r *http.Request) answer {
		a := problem(r, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", "Use "+allowed+" here.")
		a.header = http.Header{"Allow": {allowed}}
		return a
	}
}

// challenge is the WWW-Authenticate for a decision; empty where there is none.
func challenge(code policy.Code, required *verifier.Scopes) string {
	return string(fields.AppendChallenge(nil, code, required))
}
