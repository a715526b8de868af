package httpapi

import (
	"net/http"
	"net/netip"
	"strconv"

	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/internal/fields"
	"github.com/claviger-dev/claviger/verifier/internal/presented"
)

// auth is forward authentication: the gateway passes the client's request on, and asks only
// for a status.
func (h *handler) auth(x *exchange) {
	request := &x.question.request
	err := x.question.readRoute(x.URL.RawQuery, x.Header)
	if err == nil {
		err = h.bearer.read(x.Request, request)
	}
	if err != nil {
		x.header.put(headerChallenge, fields.AppendChallenge(x.header.text, policy.CodeRequestInvalid, nil))
		x.invalidRequest(err)
		return
	}
	x.decision = h.verifier.Verify(x.Context(), *request)
	x.header.limits(&x.decision)
	if d := &x.decision; d.Valid() {
		x.header.identity(&d.Key)
		x.identified = true
		x.status, x.code = d.Status, d.Code.String()
	} else {
		x.refuse(d, &request.Scopes)
	}
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

// bearer reads who asks, out of a request that bears a key.
type bearer struct {
	proxies presented.Proxies
	// parameter of the client's URL that may hold a key; empty: none may.
	parameter string
}

// read fills in the key, the client's address and the workspace that the client speaks of. Where
// a workspace is required already, the client may name no other.
func (b *bearer) read(r *http.Request, request *verifier.Request) error {
	key, err := b.key(r.Header)
	if err != nil {
		return err
	}
	workspace, err := presented.WorkspaceOf(r.Header["X-Workspace-Id"], r.Header["X-Organization-Id"])
	if err != nil {
		return err
	}
	if workspace != "" && request.Workspace != "" && workspace != request.Workspace {
		return presented.ErrTwoWorkspaces
	}
	if workspace != "" {
		request.Workspace = workspace
	}
	request.Key = key.Text
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	request.ClientIP = b.proxies.Client(peer.Addr(), r.Header["X-Forwarded-For"])
	return nil
}

func (b *bearer) key(header http.Header) (presented.Key, error) {
	keys := header["X-Api-Key"]
	if b.parameter != "" {
		keys = appendURLKeys(keys[:len(keys):len(keys)], header, b.parameter)
	}
	return presented.KeyOf(keys, header["Authorization"])
}
