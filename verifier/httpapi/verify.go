package httpapi

import (
	"net/http"

	"github.com/claviger-dev/claviger/internal/policy"
)

// verify answers a service that asks about a key it was given. It is always 200 if the
// question made sense: whether the key is good is in the answer.
func (h *handler) verify(x *exchange) {
	err := x.readBody(maxBody)
	if err == nil {
		x.reader.Reset(x.in)
		err = x.question.decode(&x.reader, "the body")
	}
	if err != nil {
		x.invalidRequest(err)
		return
	}
	x.bears(x.question.request.Key)
	x.question.request.ID = x.requestID
	x.decision = h.verifier.Verify(x.Context(), x.question.request)
	if d := &x.decision; d.Code == policy.CodeRequestInvalid {
		x.problem(d.Status, d.Code.String(), d.Error)
		return
	}
	x.status, x.code, x.contentType = http.StatusOK, x.decision.Code.String(), typeJSON
	x.out = x.appendVerdict(x.out[:0], x.requestID)
}
