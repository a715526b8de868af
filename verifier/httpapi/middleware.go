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
	// ReportFailed is told of what Spend was told, or of a request that is over, where that could not be counted: with
	// verifier.ErrLimitsUnavailable Verifier.Report may be tried again; with verifier.ErrUnknownKey the key
	// was deleted meanwhile. Nil: nobody is told.
	ReportFailed func(verifier.Report, error)
}

// Middleware lets only those requests pass to a handler whose key permits it, and answers the others
// as /v1/auth does. The handler finds the decision with DecisionFrom, and tells with Spend what the
// request cost. A request is under way until the handler returns. The headers in which gateways
// tell whose key it is are removed: nobody but the client can have set them.
func Middleware(v *verifier.Verifier, o MiddlewareOptions) func(http.Handler) http.Handler {
	m := &middleware{
		verifier: v, options: o,
		bearer: bearer{proxies: presented.NewProxies(o.TrustedProxies), foreign: v.Foreign, parameter: o.QueryKey, direct: true},
	}
	if o.Require == nil {
		m.options.Require = Always(Requirements{})
	}
	if o.Ready == nil {
		m.options.Ready = v.Ready
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			passed, p := m.admit(w, r)
			if passed == nil {
				return
			}
			defer m.over(passed.Context(), p) // after a panic too
			next.ServeHTTP(w, passed)
		})
	}
}

type middleware struct {
	verifier *verifier.Verifier
	options  MiddlewareOptions
	bearer   bearer
}

// admit returns the request to pass on, or answers it and returns nil.
func (m *middleware) admit(w http.ResponseWriter, r *http.Request) (*http.Request, *passage) {
	x := newExchange(w, r)
	defer x.release()
	if m.options.Ready() != nil {
		x.notReady()
		x.write()
		return nil, nil
	}
	required := m.options.Require(r)
	x.question.request = verifier.Request{
		ID:     x.freshID(),
		Scopes: required.Scopes, Workspace: required.Workspace, Resource: required.Resource, Cost: required.Cost, Labels: required.Labels,
	}
	if !x.ask(&m.bearer, m.verifier.Verify) {
		if x.decision.Code == verifier.CodeLimitsUnavailable {
			x.ownID = "" // nobody knows what is held under it
		}
		x.write()
		return nil, nil
	}
	x.header.write(w.Header())
	p := &passage{decision: x.decision}
	if p.decision.Limits.UnderWay() {
		p.id, x.ownID = x.ownID, ""
	}
	return m.passOn(r, p), p
}

// passOn makes the request that the handler sees. The one that came in is left as it was.
func (m *middleware) passOn(r *http.Request, p *passage) *http.Request {
	passed := r.WithContext(context.WithValue(r.Context(), passageKey{}, p))
	passed.Header = r.Header.Clone()
	removeIdentity(passed.Header)
	if m.options.StripKey {
		m.bearer.strip(passed)
	}
	return passed
}
