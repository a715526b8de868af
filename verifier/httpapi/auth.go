package httpapi

import (
	"net/http"
	"net/netip"
	"net/url"

	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/internal/fields"
	"github.com/claviger-dev/claviger/verifier/internal/presented"
)

// auth is forward authentication: the gateway passes the client's request on, and asks only
// for a status. The scopes a route requires are in the query, which the gateway's configuration
// writes and the client does not see.
func (h *handler) auth(r *http.Request) answer {
	request, err := h.authRequest(r)
	if err != nil {
		a := refuseRequest(r, err)
		a.header = http.Header{"Www-Authenticate": {challenge(policy.CodeRequestInvalid, nil)}}
		return a
	}
	d := h.verifier.Verify(r.Context(), request)
	header := http.Header{}
	limitFields(header, &d)
	if d.Valid() {
		identityFields(header, &d.Key)
		return answer{status: d.Status, code: d.Code.String(), header: header, body: ""}
	}
	code := d.Code.Public()
	if c := challenge(code, &request.Scopes); c != "" {
		header.Set("Www-Authenticate", c)
	}
	a := problem(r, d.Status, code.String(), d.Error)
	a.header = header
	return a
}

func (h *handler) authRequest(r *http.Request) (verifier.Request, error) {
	scopes, err := requiredScopes(r.URL.RawQuery)
	if err != nil {
		return verifier.Request{}, err
	}
	key, err := presented.KeyOf(r.Header["X-Api-Key"], r.Header["Authorization"])
	if err != nil {
		return verifier.Request{}, err
	}
	workspace, err := presented.WorkspaceOf(r.Header["X-Workspace-Id"], r.Header["X-Organization-Id"])
	if err != nil {
		return verifier.Request{}, err
	}
	return verifier.Request{
		Key:       key.Text,
		Scopes:    verifier.Scopes{AllOf: scopes},
		Workspace: workspace,
		ClientIP:  h.client(r),
	}, nil
}

// requiredScopes reads the query. It must be all understood: to ignore a misspelt parameter
// would be to ignore a check.
func requiredScopes(query string) ([]string, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, malformed("the query cannot be read; write ?scope=a&scope=b")
	}
	for name := range values {
		if name != "scope" {
			return nil, malformed("the query may hold only scope, not " + quoteName(name))
		}
	}
	return values["scope"], nil
}

// identityFields are always all there, empty where they say nothing: a gateway that copies
// them over those of the client then leaves none that the client made up.
func identityFields(header http.Header, key *verifier.Key) {
	for i, name := range fields.IdentityNames {
		header[name] = []string{string(fields.AppendIdentity(nil, i, key))}
	}
}

// limitFields are the fields of draft-ietf-httpapi-ratelimit-headers, and Retry-After where
// a limit refused.
func limitFields(header http.Header, d *verifier.Decision) {
	if d.Limits.Len() > 0 {
		header.Set("Ratelimit-Policy", string(fields.AppendRateLimitPolicy(nil, d)))
		header.Set("Ratelimit", string(fields.AppendRateLimit(nil, d)))
	}
	if after := fields.AppendRetryAfter(nil, d); len(after) > 0 {
		header.Set("Retry-After", string(after))
	}
}

// client is where a request comes from.
func (h *handler) client(r *http.Request) netip.Addr {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	return h.proxies.Client(peer.Addr(), r.Header["X-Forwarded-For"])
}
