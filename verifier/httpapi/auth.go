package httpapi

import (
	"context"
	"net/http"
	"strconv"

	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/internal/fields"
)

// auth is forward authentication: the gateway passes the client's request on, and asks only
// for a status.
func (h *handler) auth(x *exchange) {
	if !h.ask(x, h.verifier.Verify) {
		return
	}
	x.header.identity(&x.decision.Key)
	x.identified = true
	x.status, x.code = x.decision.Status, x.decision.Code.String()
}

// ask has a client's request decided, against what its route requires, and says whether it may pass.
// If not, it has been answered.
func (h *handler) ask(x *exchange, decide func(context.Context, verifier.Request) verifier.Decision) bool {
	if err := x.question.readRoute(x.URL.RawQuery, x.Header); err != nil {
		x.refuseInvalid(err)
		return false
	}
	return x.ask(&h.bearer, decide)
}

// ask has a request decided for which the question holds already what it requires.
func (x *exchange) ask(b *bearer, decide func(context.Context, verifier.Request) verifier.Decision) bool {
	request := &x.question.request
	if err := b.read(x.Request, request); err != nil {
		x.refuseInvalid(err)
		return false
	}
	x.bears(request.Key)
	if request.ID == "" {
		request.ID = x.requestID
	}
	x.decision = decide(x.Context(), *request)
	x.header.limits(&x.decision)
	if !x.decision.Valid() {
		x.refuse(&x.decision, &request.Scopes)
		return false
	}
	return true
}

// anonymous adds the identity fields to what was refused, or could not be answered: all empty,
// as a gateway may let pass what it should not.
func (x *exchange) anonymous() {
	if !x.identified {
		x.header.identity(&verifier.Key{})
	}
}

// The headers that tell nginx what it cannot be told by a status.
const (
	headerStatus = "X-Claviger-Status"
	headerCode   = "X-Claviger-Code"
	headerError  = "X-Claviger-Error"
	headerBody   = "X-Claviger-Body"
)

// forNginx turns any status but 2xx, 401 and 403 into 403, as auth_request makes a 500 of any
// other. What the client is to be told is in headers, which nginx can make an answer of.
func (x *exchange) forNginx() {
	x.anonymous()
	if x.status < http.StatusMultipleChoices {
		return
	}
	x.header.put(headerStatus, strconv.AppendInt(x.header.text, int64(x.status), 10))
	x.header.add(headerCode, x.code)
	x.header.add(headerError, fields.Value(x.told))
	x.header.put(headerBody, append(x.header.text, x.out...))
	if x.status != http.StatusUnauthorized {
		x.sent = http.StatusForbidden
	}
}
