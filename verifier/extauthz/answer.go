package extauthz

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/claviger-dev/claviger/verifier/extauthz/internal/wire"
	"github.com/claviger-dev/claviger/verifier/internal/fields"
	"github.com/claviger-dev/claviger/verifier/internal/presented"
)

// identityNames are the headers that tell the service who is calling, as Envoy names them.
var identityNames = func() (names [len(fields.IdentityNames)]string) {
	for i, name := range fields.IdentityNames {
		names[i] = strings.ToLower(name)
	}
	return names
}()

// restart throws away what was written.
func (x *exchange) restart() { x.out = wire.Response{Bytes: x.out.Bytes[:0]} }

// allow lets a request pass: without its key, and with headers that tell whose it was.
func (x *exchange) allow(queryKey string) {
	x.status, x.code = http.StatusOK, x.decision.Code.String()
	out := &x.out
	out.Status(uint32(codes.OK), "")
	out.BeginOK()
	x.identify()
	x.stripKey(queryKey)
	x.limits(wire.ResponseHeaders)
	out.End()
	x.metadata()
}

// identify overwrites each of our headers, or has it removed where it says nothing, and removes
// whatever else the client sent under our name.
func (x *exchange) identify() {
	out := &x.out
	for i, name := range identityNames {
		x.value = fields.AppendIdentity(x.value[:0], i, &x.decision.Key)
		if len(x.value) == 0 {
			out.Remove(name)
			continue
		}
		out.Header(wire.UpstreamHeaders, name, x.value)
	}
	for _, name := range x.in.Own {
		if name := string(name); !slices.Contains(identityNames[:], name) {
			out.Remove(name)
		}
	}
}

// stripKey keeps the key from the service. An Authorization that holds none is the service's own.
func (x *exchange) stripKey(queryKey string) {
	x.out.Remove("x-api-key")
	if queryKey != "" {
		x.out.RemoveParameter(queryKey)
	}
	if x.key.InAuthorization || slices.ContainsFunc(x.values[wire.Authorization], presented.LooksLikeKey) {
		x.out.Remove("authorization")
	}
}

// limits tells the client how its limits stand, and when to come back.
func (x *exchange) limits(list wire.List) {
	out, d := &x.out, &x.decision
	x.value = fields.AppendRateLimitPolicy(x.value[:0], d)
	out.Header(list, "ratelimit-policy", x.value)
	x.value = fields.AppendRateLimit(x.value[:0], d)
	out.Header(list, "ratelimit", x.value)
	x.value = fields.AppendRetryAfter(x.value[:0], d)
	out.Header(list, "retry-after", x.value)
}

// refuse tells the client what was decided. The bearer of a key is not told all: see Code.Public.
func (x *exchange) refuse(text string) {
	d := &x.decision
	x.beginDenied(d.Status, d.Code.Public().String(), text)
	x.limits(wire.ClientHeaders)
	x.value = fields.AppendChallenge(x.value[:0], d.Code.Public(), &x.question.Scopes)
	x.out.Header(wire.ClientHeaders, "www-authenticate", x.value)
	x.out.End()
	x.metadata()
	x.code = d.Code.String()
}

// fail tells the client that there is no decision.
func (x *exchange) fail(status int, code, text string) {
	x.beginDenied(status, code, text)
	if status == http.StatusServiceUnavailable {
		x.out.Header(wire.ClientHeaders, "retry-after", []byte("1"))
	}
	x.out.End()
}

// beginDenied begins an answer with an HTTP status, in the form that errors have at all doors.
func (x *exchange) beginDenied(status int, code, text string) {
	x.status, x.code = status, code
	id := x.requestID()
	out := &x.out
	out.Status(uint32(grpcCode(status)), text)
	out.BeginDenied(status)
	out.Header(wire.ClientHeaders, "content-type", []byte("application/json"))
	out.Header(wire.ClientHeaders, "cache-control", []byte("no-store"))
	out.Header(wire.ClientHeaders, "x-request-id", []byte(id))
	if body, err := json.Marshal(problem{text, code, id}); err == nil { // three texts can always be encoded
		out.BeginBody()
		out.Bytes = append(out.Bytes, body...)
		out.End()
	}
}

// problem is the body of every answer that is an error.
type problem struct {
	Error     string `json:"error"`
	Code      string `json:"code"`
	RequestID string `json:"requestId"`
}

// grpcCode is the code of gRPC that says what a status of HTTP says. None is OK, or the request
// would pass.
func grpcCode(status int) codes.Code {
	switch status {
	case http.StatusBadRequest:
		return codes.InvalidArgument
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusTooManyRequests:
		return codes.ResourceExhausted
	case http.StatusServiceUnavailable:
		return codes.Unavailable
	case http.StatusInternalServerError:
		return codes.Internal
	}
	return codes.PermissionDenied
}
