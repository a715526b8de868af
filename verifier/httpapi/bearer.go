package httpapi

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/internal/presented"
)

// bearer reads who asks, out of a request that bears a key.
type bearer struct {
	proxies presented.Proxies
	foreign presented.Foreign
	// parameter of the client's URL that may hold a key; empty: none may, as URLs end up in logs.
	parameter string
	// direct says that requests are the client's own, and not a gateway's about them.
	direct bool
}

// read fills in the key, the client's address and the workspace that the client speaks of. Where
// a workspace is required already, the client may name no other.
func (b *bearer) read(r *http.Request, request *verifier.Request) error {
	key, err := b.key(r)
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
	request.ClientIP = b.client(r)
	return nil
}

// client is where a request comes from.
func (b *bearer) client(r *http.Request) netip.Addr {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	return b.proxies.Client(peer.Addr(), r.Header["X-Forwarded-For"])
}

func (b *bearer) key(r *http.Request) (presented.Key, error) {
	keys := r.Header["X-Api-Key"]
	if b.parameter != "" {
		keys = b.appendURLKeys(keys[:len(keys):len(keys)], r)
	}
	return presented.KeyOf(keys, r.Header["Authorization"], b.foreign)
}

// clientURLs are where gateways put the URL that the client asked for: Traefik and Caddy; nginx,
// by convention.
var clientURLs = [...]string{"X-Forwarded-Uri", "X-Original-Uri", "X-Original-Url"}

// appendURLKeys appends the keys in the client's URL.
func (b *bearer) appendURLKeys(keys []string, r *http.Request) []string {
	if b.direct {
		return presented.AppendQueryKeys(keys, r.URL.RawQuery, b.parameter)
	}
	for _, name := range clientURLs {
		for _, url := range r.Header[name] {
			keys = presented.AppendQueryKeys(keys, presented.QueryOf(url), b.parameter)
		}
	}
	return keys
}

// strip takes a request's key out of it, wherever it stands, and be it by a scheme that it is not looked
// for in. An Authorization that holds no key is for the service.
func (b *bearer) strip(r *http.Request) {
	if key, err := b.key(r); err == nil && key.InAuthorization || slices.ContainsFunc(r.Header["Authorization"], presented.LooksLikeKey) {
		delete(r.Header, "Authorization")
	}
	delete(r.Header, "X-Api-Key")
	if b.parameter == "" || !b.direct {
		return
	}
	url := *r.URL
	url.RawQuery = b.withoutKeys(url.RawQuery)
	r.URL, r.RequestURI = &url, url.RequestURI()
}

func (b *bearer) withoutKeys(query string) string {
	var rest []string
	for pair := range strings.SplitSeq(query, "&") {
		if name, _, ok := presented.QueryPair(pair); !ok || name != b.parameter {
			rest = append(rest, pair)
		}
	}
	return strings.Join(rest, "&")
}
