package httpapi

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/verifier"
)

// guarded is a service behind the middleware, and what it saw of the last request.
type guarded struct {
	*fixture
	seen *http.Request
}

func guard(t *testing.T, o MiddlewareOptions, edits ...func(*spec)) *guarded {
	t.Helper()
	g := &guarded{fixture: newFixture(t, edits...)}
	v, err := verifier.New(verifier.Options{Index: g.index, Now: func() time.Time { return g.now }})
	if err != nil {
		t.Fatal(err)
	}
	g.Handler = Middleware(v, o)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.seen = r
		w.WriteHeader(http.StatusNoContent)
	}))
	return g
}

func TestTheMiddlewareLetsPassWhatMayPass(t *testing.T) {
	g := guard(t, MiddlewareOptions{Require: Always(Requirements{Scopes: verifier.Scopes{AllOf: []string{"read"}}, Workspace: "tenant/shop", Cost: verifier.Cost{Requests: 3}})}, limited("ten"))
	indextest.SetLimit(g.index, "ten", 10, time.Minute, 0)
	w := g.do("GET", "/orders", "", "X-API-Key: "+g.key, "X-Claviger-Key-Id: forged", "Accept: text/plain")
	if w.Code != http.StatusNoContent || g.seen == nil {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	if d := DecisionFrom(g.seen.Context()); d == nil || !d.Valid() || d.Key.Name != "k" || d.Limits.Len() != 1 {
		t.Errorf("the handler learns %+v", d)
	}
	if got := w.Header().Get("RateLimit"); got != `"minute";r=7;t=60` {
		t.Errorf("RateLimit is %q", got)
	}
	if got := g.seen.Header["X-Claviger-Key-Id"]; got != nil {
		t.Errorf("the client's own X-Claviger-Key-Id is passed on: %q", got)
	}
	if g.seen.Header.Get("Accept") == "" || g.seen.Header.Get("X-API-Key") != g.key {
		t.Errorf("headers were lost: %v", g.seen.Header)
	}
}

func TestTheMiddlewareRefusesAsTheDoorDoes(t *testing.T) {
	admin := func(r *http.Request) Requirements {
		if r.Method == http.MethodDelete {
			return Requirements{Scopes: verifier.Scopes{AnyOf: []string{"admin"}}}
		}
		return Requirements{}
	}
	tests := map[string]struct {
		options   MiddlewareOptions
		method    string
		headers   []string
		status    int
		code      string
		challenge string
	}{
		"no key": {status: 401, code: "KEY_REQUIRED", challenge: `Bearer realm="claviger"`},
		"two keys": {headers: []string{"X-API-Key: %k, other"}, status: 400, code: "REQUEST_INVALID",
			challenge: `Bearer realm="claviger", error="invalid_request", error_description="Bad request"`},
		"a missing scope": {options: MiddlewareOptions{Require: admin}, method: "DELETE", headers: []string{"X-API-Key: %k"}, status: 403, code: "SCOPE_INSUFFICIENT",
			challenge: `Bearer realm="claviger", error="insufficient_scope", error_description="API key does not have the required scope", scope="admin"`},
		"another workspace": {options: MiddlewareOptions{Require: Always(Requirements{Workspace: "tenant/other"})}, headers: []string{"X-API-Key: %k"}, status: 401, code: "KEY_INVALID",
			challenge: `Bearer realm="claviger", error="invalid_token", error_description="Invalid API key"`},
		"requirements that make no sense": {options: MiddlewareOptions{Require: Always(Requirements{Scopes: verifier.Scopes{AllOf: []string{"a b"}}})}, headers: []string{"X-API-Key: %k"}, status: 400, code: "REQUEST_INVALID",
			challenge: `Bearer realm="claviger", error="invalid_request", error_description="Bad request"`},
		"keys not known yet":       {options: MiddlewareOptions{Ready: func() error { return errors.New("waiting") }}, headers: []string{"X-API-Key: %k"}, status: 503, code: "NOT_READY"},
		"a key in the URL":         {headers: nil, status: 401, code: "KEY_REQUIRED", challenge: `Bearer realm="claviger"`},
		"a key in a gateway's URL": {options: MiddlewareOptions{QueryKey: "key"}, headers: []string{"X-Forwarded-Uri: /?key=%k"}, status: 401, code: "KEY_REQUIRED", challenge: `Bearer realm="claviger"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := guard(t, test.options)
			target := "/orders"
			if name == "a key in the URL" {
				target += "?api_key=" + g.key
			}
			w := g.do(test.method, target, "", withKey(test.headers, g.key)...)
			if p := problemOf(t, w); w.Code != test.status || p.Code != test.code || w.Header().Get("WWW-Authenticate") != test.challenge {
				t.Errorf("got %d %s\n%s", w.Code, p.Code, w.Header().Get("WWW-Authenticate"))
			}
			if g.seen != nil {
				t.Error("it was passed on")
			}
			if w.Code == 503 && w.Header().Get("Retry-After") != "1" {
				t.Errorf("Retry-After is %q", w.Header().Get("Retry-After"))
			}
		})
	}
}

func TestTheMiddlewareTakesTheKeyOut(t *testing.T) {
	const jwt = "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0."
	tests := map[string]struct {
		target, seen  string
		headers       []string
		authorization string // what is left
	}{
		"of X-API-Key":                {"/o?a=b", "/o?a=b", []string{"X-API-Key: KEY"}, ""},
		"of Bearer":                   {"/o", "/o", []string{"Authorization: Bearer KEY"}, ""},
		"of Basic":                    {"/o", "/o", []string{"Authorization: Basic BASIC"}, ""},
		"of both":                     {"/o", "/o", []string{"Authorization: Bearer KEY", "X-API-Key: KEY"}, ""},
		"of another scheme":           {"/o", "/o", []string{"Authorization: ApiKey KEY", "X-API-Key: KEY"}, ""},
		"but leaves a user's JWT":     {"/o", "/o", []string{"Authorization: " + jwt, "X-API-Key: KEY"}, jwt},
		"of the URL":                  {"/o?a=b&key=KEY&c=%41", "/o?a=b&c=%41", nil, ""},
		"of the URL, however escaped": {"/o?k%65y=KEY&key=KEY", "/o", nil, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := guard(t, MiddlewareOptions{StripKey: true, QueryKey: "key"})
			basic := base64.StdEncoding.EncodeToString([]byte("me:" + g.key))
			fill := strings.NewReplacer("KEY", g.key, "BASIC", basic)
			r := httptest.NewRequest("GET", fill.Replace(test.target), nil)
			for _, header := range test.headers {
				name, value, _ := strings.Cut(fill.Replace(header), ": ")
				r.Header.Add(name, value)
			}
			before := r.Header.Clone()
			w := httptest.NewRecorder()
			g.ServeHTTP(w, r)
			if w.Code != http.StatusNoContent {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			if g.seen.Header.Get("X-API-Key") != "" || g.seen.Header.Get("Authorization") != test.authorization {
				t.Errorf("the service sees %v", g.seen.Header)
			}
			if g.seen.URL.RequestURI() != test.seen || g.seen.RequestURI != test.seen {
				t.Errorf("the service sees %s and %s, want %s", g.seen.URL.RequestURI(), g.seen.RequestURI, test.seen)
			}
			if !sameHeader(r.Header, before) {
				t.Error("the request that came in was changed")
			}
		})
	}
}

func TestTheMiddlewareBelievesOnlyItsProxies(t *testing.T) {
	office := func(s *spec) { s.AllowedCIDRs = append(s.AllowedCIDRs, "203.0.113.0/24") }
	trusting := guard(t, MiddlewareOptions{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, office)
	wary := guard(t, MiddlewareOptions{}, office)
	for g, want := range map[*guarded]int{trusting: http.StatusNoContent, wary: http.StatusForbidden} {
		// httptest's requests come from 192.0.2.1.
		if w := g.do("GET", "/", "", "X-API-Key: "+g.key, "X-Forwarded-For: 203.0.113.9"); w.Code != want {
			t.Errorf("status %d, want %d", w.Code, want)
		}
	}
}

func TestThereIsNoDecisionWithoutTheMiddleware(t *testing.T) {
	if d := DecisionFrom(t.Context()); d != nil {
		t.Errorf("got %+v", d)
	}
}
