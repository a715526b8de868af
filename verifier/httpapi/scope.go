package httpapi

import (
	"net/http"

	"github.com/claviger-dev/claviger/verifier/httpapi/internal/strictjson"
)

// scope tells the bearer of a key what it is, and takes nothing for it. It may ask with what a
// route requires, and is then answered as it would be there. The key's metadata is left out: that is
// what services note about their clients.
func (h *handler) scope(x *exchange) {
	if !h.ask(x, h.verifier.Inspect) {
		return
	}
	d := &x.decision
	d.Key.Metadata = nil
	x.status, x.code, x.contentType = http.StatusOK, d.Code.String(), typeJSON
	b := strictjson.AppendString(append(x.out[:0], `{"requestId":`...), x.requestID)
	b = x.appendKey(append(b, `,"key":`...), &d.Key)
	b = appendLimits(b, &d.Limits)
	x.out = append(b, '}')
}
