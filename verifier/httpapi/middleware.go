package httpapi

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/internal/presented"
)

// Requirements are what a request must satisfy, besides bearing a good key. All may be left out.
type Requirements struct {
	// Scopes are what the key must be allowed to do.
	Scopes verifier.Scopes
	// Workspace is the ID ("namespace/name") that the key's workspace must have. Without it, keys
	// of all workspaces that the verifier knows pass.
	Workspace string
	// Resource is what the key is to be used on. It must not be taken from what a client may
	// choose freely, as who chooses the resource chooses the grant.
	Resource string
	// Cost is what the request takes from the key's limits.
	Cost verifier.Cost
	// Labels are what the usage is told apart by.
	Labels verifier.Labels
}

// Always requires the same of every request.
func Always(r Requirements) func(*http.Request) Requirements {
	return func(*http.Request) Requirements { return r }
}

// MiddlewareOptions are how a service lets requests in. The zero value asks for a good key.
type MiddlewareOptions struct {
	// Require says what a request requires; nil: nothing but a good key.
	Require func(*http.Request) Requirements
	// Ready says what is missing before keys can be told apart; nil: the verifier says so.
	Ready func() error
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// QueryKey is the parameter of the URL that may hold a key; empty: none may, because URLs
	// end up in logs and histories.
	QueryKey string
	// StripKey takes the key out of the request before it is passed on.
	StripKey bool
}

// Middleware lets only those requests pass to a handler whose key permits it, and answers the others
// as /v1/auth does. The handler finds the decision with DecisionFrom. The headers in which gateways
// tell whose key it is are removed: nobody but the client can have set them.
func Middleware(v *verifier.Verifier, o MiddlewareOptions) func(http.Handler) http.Handler {
	m := &middleware{
		verifier: v, options: o,
		bearer: bearer{proxies: presented.NewProxies(o.TrustedProxies), parameter: o.QueryKey, direct: true},
	}
	if o.Require == nil {
		m.options.Require = Always(Requirements{})
	}
	if o.Ready == nil {
		m.options.Ready = v.Ready
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if passed := m.admit(w, r); passed != nil {
				next.ServeHTTP(w, passed)
			}
		})
	}
}

type decisionKey struct{}

// DecisionFrom is the decision that let a request pass through a Middleware; nil: it came another way.
// It must not be changed.
func DecisionFrom(ctx context.Context) *verifier.Decision {
	d, _ := ctx.Value(decisionKey{}).(*verifier.Decision)
	return d
}

type middleware struct {
	verifier *verifier.Verifier
	options  MiddlewareOptions
	bearer   bearer
}

// admit returns the request to pass on, or answers it and returns nil.
func (m *middleware) admit(w http.ResponseWriter, r *http.Request) *http.Request {
	x := newExchange(w, r)
	defer x.release()
	if m.options.Ready() != nil {
		x.notReady()
		x.write()
		return nil
	}
	required := m.options.Require(r)
	x.question.request = verifier.Request{
		Scopes: required.Scopes, Workspace: required.Workspace, Resource: required.Resource, Cost: required.Cost, Labels: required.Labels,
	}
	if !x.ask(&m.bearer, m.verifier.Verify) {
		x.write()
		return nil
	}
	x.header.write(w.Header())
	decision := x.decision
	return m.passOn(r, &decision)
}

// passOn makes the request that the handler sees. The one that came in is left as it was.
func (m *middleware) passOn(r *http.Request, d *verifier.Decision) *http.Request {
	passed := r.WithContext(context.WithValue(r.Context(), decisionKey{}, d))
	passed.Header = r.Header.Clone()
	removeIdentity(passed.Header)
	if m.options.StripKey {
		m.bearer.strip(passed)
	}
	return passed
}
