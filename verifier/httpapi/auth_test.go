package httpapi

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/internal/token"
	"github.com/claviger-dev/claviger/verifier/internal/fields"
)

func stranger(t testing.TB) string {
	t.Helper()
	key, err := token.New("ak", "live")
	if err != nil {
		t.Fatal(err)
	}
	return key.Reveal()
}

func TestForwardAuthenticationRefuses(t *testing.T) {
	const invalidToken = `Bearer realm="claviger", error="invalid_token", error_description="`
	tests := map[string]struct {
		spec      func(*spec)
		change    func(*keyindex.Index)
		target    string
		headers   func(key string) []string
		status    int
		code      string
		text      string
		challenge string
	}{
		"no key": {headers: none, status: 401, code: "KEY_REQUIRED", text: "API key is required", challenge: `Bearer realm="claviger"`},
		"another scheme": {headers: func(string) []string { return []string{`Authorization: Digest username="a", uri="/"`} },
			status: 401, code: "KEY_REQUIRED", text: "API key is required", challenge: `Bearer realm="claviger"`},
		"a scheme without credentials": {headers: func(string) []string { return []string{`Authorization: Bearer `} },
			status: 401, code: "KEY_REQUIRED", text: "API key is required", challenge: `Bearer realm="claviger"`},
		"an unknown key": {headers: func(string) []string { return []string{"X-API-Key: " + stranger(t)} },
			status: 401, code: "KEY_INVALID", text: "Invalid API key", challenge: invalidToken + `Invalid API key"`},
		"a malformed key": {headers: func(string) []string { return []string{"X-API-Key: hello"} },
			status: 401, code: "KEY_INVALID", text: "Invalid API key", challenge: invalidToken + `Invalid API key"`},
		"a key of another workspace": {headers: func(key string) []string { return []string{"X-API-Key: " + key, "X-Workspace-Id: tenant/other"} },
			status: 401, code: "KEY_INVALID", text: "Invalid API key", challenge: invalidToken + `Invalid API key"`},
		"a key of another organization": {headers: func(key string) []string { return []string{"X-API-Key: " + key, "X-Organization-Id: other/shop"} },
			status: 401, code: "KEY_INVALID", text: "Invalid API key", challenge: invalidToken + `Invalid API key"`},
		"an expired key": {spec: func(s *spec) { s.TTL = &metav1.Duration{Duration: time.Minute} },
			status: 401, code: "KEY_EXPIRED", text: "API key has expired", challenge: invalidToken + `API key has expired"`},
		"a revoked key": {spec: func(s *spec) { s.State = v1alpha1.KeyRevoked },
			status: 401, code: "KEY_REVOKED", text: "API key has been revoked", challenge: invalidToken + `API key has been revoked"`},
		"a disabled key": {spec: func(s *spec) { s.State = v1alpha1.KeyDisabled }, status: 403, code: "KEY_DISABLED", text: "API key is disabled"},
		"a suspended workspace": {change: func(x *keyindex.Index) {
			indextest.SetWorkspace(x, "shop", func(s *v1alpha1.WorkspaceSpec) { s.Suspended = true })
		}, status: 403, code: "WORKSPACE_SUSPENDED", text: "Workspace is suspended"},
		"another address": {spec: func(s *spec) { s.AllowedCIDRs = []v1alpha1.CIDR{"203.0.113.0/24"} },
			status: 403, code: "ADDRESS_DENIED", text: "API key may not be used from this address"},
		"a scope it does not have": {target: "/v1/auth?scope=read&scope=admin",
			status: 403, code: "SCOPE_INSUFFICIENT", text: "API key does not have the required scope",
			challenge: `Bearer realm="claviger", error="insufficient_scope", error_description="API key does not have the required scope", scope="read admin"`},
		"two different keys": {headers: func(key string) []string {
			return []string{"X-API-Key: " + key, "Authorization: Bearer " + stranger(t)}
		},
			status: 400, code: "REQUEST_INVALID", text: "Bad request: two different keys were sent; send one", challenge: `Bearer realm="claviger", error="invalid_request", error_description="Bad request"`},
		"two different workspaces": {headers: func(key string) []string {
			return []string{"X-API-Key: " + key, "X-Workspace-Id: tenant/shop", "X-Organization-Id: tenant/other"}
		},
			status: 400, code: "REQUEST_INVALID", text: "Bad request: two different workspaces were named; name one", challenge: `Bearer realm="claviger", error="invalid_request", error_description="Bad request"`},
		"a misspelt parameter": {target: "/v1/auth?scopes=read",
			status: 400, code: "REQUEST_INVALID", text: `Bad request: the query may hold scope, anyScope, workspace, resource and cost, not "scopes"`, challenge: `Bearer realm="claviger", error="invalid_request", error_description="Bad request"`},
		"a query that cannot be read": {target: "/v1/auth?scope=%zz",
			status: 400, code: "REQUEST_INVALID", text: "Bad request: the query cannot be read; write ?scope=a&scope=b", challenge: `Bearer realm="claviger", error="invalid_request", error_description="Bad request"`},
		"a malformed scope": {target: "/v1/auth?scope=read%0d%0aX-Evil:1",
			status: 400, code: "REQUEST_INVALID", text: "Bad request: scope 1 of those required (allOf) is malformed: between the dots come words of letters, digits, _ and -, or * or **", challenge: `Bearer realm="claviger", error="invalid_request", error_description="Bad request"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, func(s *spec) {
				if test.spec != nil {
					test.spec(s)
				}
			})
			if test.change != nil {
				test.change(f.index)
			}
			target, headers := "/v1/auth", []string{"X-API-Key: " + f.key}
			if test.target != "" {
				target = test.target
			}
			if test.headers != nil {
				headers = test.headers(f.key)
			}
			w := f.do("GET", target, "", headers...)
			p := problemOf(t, w)
			if w.Code != test.status || p.Code != test.code || p.Error != test.text {
				t.Errorf("got %d %s %q, want %d %s %q", w.Code, p.Code, p.Error, test.status, test.code, test.text)
			}
			if got := w.Header().Get("WWW-Authenticate"); got != test.challenge {
				t.Errorf("WWW-Authenticate is\n%s, want\n%s", got, test.challenge)
			}
			for _, name := range fields.IdentityNames {
				if values := w.Header()[name]; len(values) != 1 || values[0] != "" {
					t.Errorf("%s is %q, want one empty value", name, values)
				}
			}
		})
	}
}

func none(string) []string { return nil }

func TestForwardAuthenticationTellsWhoCalls(t *testing.T) {
	f := newFixture(t, func(s *spec) {
		s.ServiceAccountRef = &v1alpha1.LocalReference{Name: "robot"}
		s.Environment = v1alpha1.EnvironmentTest
		s.Entity = &v1alpha1.Entity{Kind: "Department", ID: "logistics", Department: "operations"}
	})
	indextest.SetAccount(f.index, "robot")
	for _, method := range []string{"GET", "POST", "DELETE", "OPTIONS", "HEAD", "BREW"} {
		w := f.do(method, "/v1/auth?scope=read&scope=write", "a body that is not looked at",
			"X-API-Key: "+f.key, "X-Workspace-Id: tenant/shop", "X-Claviger-Key-Id: forged")
		if w.Code != 200 {
			t.Fatalf("%s: status %d: %s", method, w.Code, w.Body)
		}
		for name, want := range map[string]string{
			"X-Claviger-Key-Id":            string(indextest.UID("key", "k")),
			"X-Claviger-Key-Name":          "k",
			"X-Claviger-Namespace":         "tenant",
			"X-Claviger-Workspace-Id":      "tenant/shop",
			"X-Claviger-Environment":       "test",
			"X-Claviger-Service-Account":   "robot",
			"X-Claviger-Scopes":            "read write",
			"X-Claviger-Entity-Kind":       "Department",
			"X-Claviger-Entity-Id":         "logistics",
			"X-Claviger-Entity-Department": "operations",
			"Cache-Control":                "no-store",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", method, name, got, want)
			}
		}
	}
}

// A gateway that copies the headers it finds must find them all, or what a client made up
// would stay.
func TestIdentityHeadersAreThereEvenIfTheySayNothing(t *testing.T) {
	f := newFixture(t, func(s *spec) { s.Scopes = nil })
	w := f.do("GET", "/v1/auth", "", "X-API-Key: "+f.key)
	for _, name := range []string{"X-Claviger-Service-Account", "X-Claviger-Scopes", "X-Claviger-Entity-Kind", "X-Claviger-Entity-Id", "X-Claviger-Entity-Department"} {
		if values := w.Header()[name]; len(values) != 1 || values[0] != "" {
			t.Errorf("%s is %q, want one empty value", name, values)
		}
	}
}

func TestWhereAKeyMayStand(t *testing.T) {
	const jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0."
	other := stranger(t)
	encode := base64.StdEncoding.EncodeToString
	tests := map[string]struct {
		headers func(key string) []string
		status  int
	}{
		"X-API-Key":                    {func(k string) []string { return []string{"X-API-Key: " + k} }, 200},
		"x-api-key, in small letters":  {func(k string) []string { return []string{"x-api-key: " + k} }, 200},
		"X-API-Key with spaces around": {func(k string) []string { return []string{"X-API-Key:   " + k + " "} }, 200},
		"Bearer":                       {func(k string) []string { return []string{"Authorization: Bearer " + k} }, 200},
		"bearer, in small letters":     {func(k string) []string { return []string{"Authorization: bearer   " + k} }, 200},
		"Basic, the key alone":         {func(k string) []string { return []string{"Authorization: Basic " + encode([]byte(k))} }, 200},
		"Basic, encoded by a shell":    {func(k string) []string { return []string{"Authorization: Basic " + encode([]byte(k+"\n"))} }, 200},
		"Basic, the key as user":       {func(k string) []string { return []string{"Authorization: Basic " + encode([]byte(k+":"))} }, 200},
		"Basic, the key as password":   {func(k string) []string { return []string{"Authorization: Basic " + encode([]byte("me:"+k))} }, 200},
		"Basic, the key as both":       {func(k string) []string { return []string{"Authorization: Basic " + encode([]byte(k+":"+k))} }, 200},
		"Basic without padding": {func(k string) []string {
			return []string{"Authorization: basic " + strings.TrimRight(encode([]byte(k+":")), "=")}
		}, 200},
		"Basic, two keys":      {func(k string) []string { return []string{"Authorization: Basic " + encode([]byte(k+":"+other))} }, 400},
		"Basic, neither a key": {func(string) []string { return []string{"Authorization: Basic " + encode([]byte("me:secret"))} }, 401},
		"Basic, not base64":    {func(k string) []string { return []string{"Authorization: Basic " + k} }, 401},
		"Basic, empty":         {func(string) []string { return []string{"Authorization: Basic Og=="} }, 401},
		"no scheme":            {func(k string) []string { return []string{"Authorization: " + k} }, 401},
		"the same key three times": {func(k string) []string {
			return []string{"X-API-Key: " + k, "X-API-Key: " + k, "Authorization: Bearer " + k}
		}, 200},
		"the same key joined by a proxy": {func(k string) []string { return []string{"X-API-Key: " + k + ", " + k} }, 200},
		"two keys in two X-API-Key":      {func(k string) []string { return []string{"X-API-Key: " + k, "X-API-Key: " + other} }, 400},
		"two keys joined by a proxy":     {func(k string) []string { return []string{"X-API-Key: " + k + "," + other} }, 400},
		"two keys in two Authorization": {func(k string) []string {
			return []string{"Authorization: Bearer " + k, "Authorization: Bearer " + other}
		}, 400},
		"a good key and a cut one": {func(k string) []string { return []string{"X-API-Key: " + k, "Authorization: Bearer " + k[:len(k)-1]} }, 400},
		"a key and a user's JWT":   {func(k string) []string { return []string{"X-API-Key: " + k, "Authorization: Bearer " + jwt} }, 200},
		"a key and a user's password": {func(k string) []string {
			return []string{"X-API-Key: " + k, "Authorization: Basic " + encode([]byte("me:secret"))}
		}, 200},
		"a JWT alone":                     {func(string) []string { return []string{"Authorization: Bearer " + jwt} }, 401},
		"an empty X-API-Key and a Bearer": {func(k string) []string { return []string{"X-API-Key: ", "Authorization: Bearer " + k} }, 200},
		"the right workspace, told twice": {func(k string) []string {
			return []string{"X-API-Key: " + k, "X-Workspace-Id: tenant/shop", "X-Organization-Id: tenant/shop"}
		}, 200},
		"an empty workspace is none":                 {func(k string) []string { return []string{"X-API-Key: " + k, "X-Workspace-Id: "} }, 200},
		"the workspace's name without the namespace": {func(k string) []string { return []string{"X-API-Key: " + k, "X-Workspace-Id: shop"} }, 401},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			if w := f.do("GET", "/v1/auth", "", test.headers(f.key)...); w.Code != test.status {
				t.Errorf("status %d, want %d: %s", w.Code, test.status, w.Body)
			}
		})
	}
}

func TestAKeyInTheURLIsNotTaken(t *testing.T) {
	f := newFixture(t)
	for _, parameter := range []string{"key", "api_key", "access_token", f.key} {
		w := f.do("GET", "/v1/auth?"+parameter+"="+f.key, "")
		if w.Code != 400 {
			t.Errorf("?%s=...: status %d", parameter, w.Code)
		}
		if strings.Contains(w.Body.String(), f.key) {
			t.Error("the answer repeats the key")
		}
	}
}

// Whether a key exists in another workspace must not be told from an answer.
func TestAnotherTenantsKeyLooksLikeAnUnknownOne(t *testing.T) {
	f := newFixture(t, limited("standard"))
	indextest.SetLimit(f.index, "standard", 100, time.Minute, 0)
	ask := func(key string) *httptest.ResponseRecorder {
		return f.do("GET", "/v1/auth?scope=read", "", "X-API-Key: "+key, "X-Workspace-Id: tenant/other", "X-Request-Id: same")
	}
	theirs, unknown, noise := ask(f.key), ask(stranger(t)), ask("noise")
	for what, w := range map[string]*httptest.ResponseRecorder{"unknown": unknown, "malformed": noise} {
		if w.Code != theirs.Code || w.Body.String() != theirs.Body.String() || !sameHeader(w.Header(), theirs.Header()) {
			t.Errorf("%s: %d %v %s\nanother tenant's: %d %v %s", what, w.Code, w.Header(), w.Body, theirs.Code, theirs.Header(), theirs.Body)
		}
	}
}

func sameHeader(a, b http.Header) bool {
	if len(a) != len(b) {
		return false
	}
	for name := range a {
		if strings.Join(a[name], "\n") != strings.Join(b[name], "\n") {
			return false
		}
	}
	return true
}

func TestRateLimitFields(t *testing.T) {
	f := newFixture(t, func(s *spec) { s.LimitRefs = indextest.Refs("a", "b", "c", "d") })
	indextest.SetLimit(f.index, "a", 3, time.Minute, 0)
	indextest.SetLimit(f.index, "b", 600, time.Hour, 5)
	indextest.SetLimit(f.index, "c", 900, 30*time.Second, 0)
	indextest.SetLimit(f.index, "d", 50, time.Minute, 0)
	expect := func(w *httptest.ResponseRecorder, status int, state, retry string) {
		t.Helper()
		if w.Code != status {
			t.Errorf("status %d, want %d", w.Code, status)
		}
		if got, want := w.Header().Get("RateLimit-Policy"), `"a-minute";q=3;w=60, "hour";q=600;w=3600, "30s";q=900;w=30, "d-minute";q=50;w=60`; got != want {
			t.Errorf("RateLimit-Policy is\n%s, want\n%s", got, want)
		}
		if got := w.Header().Get("RateLimit"); got != state {
			t.Errorf("RateLimit is\n%s, want\n%s", got, state)
		}
		if got := w.Header().Get("Retry-After"); got != retry {
			t.Errorf("Retry-After is %q, want %q", got, retry)
		}
	}
	ask := func() *httptest.ResponseRecorder { return f.do("GET", "/v1/auth", "", "X-API-Key: "+f.key) }
	expect(ask(), 200, `"a-minute";r=2;t=60, "hour";r=4;t=6, "30s";r=899;t=30, "d-minute";r=49;t=60`, "")
	f.now = f.now.Add(1500 * time.Millisecond)
	ask()
	expect(ask(), 200, `"a-minute";r=0;t=59, "hour";r=2;t=17, "30s";r=897;t=29, "d-minute";r=47;t=59`, "")
	f.now = f.now.Add(500 * time.Millisecond)
	w := ask()
	expect(w, 429, `"a-minute";r=0;t=58, "hour";r=2;t=16, "30s";r=897;t=28, "d-minute";r=47;t=58`, "58")
	if p := problemOf(t, w); p.Code != "RATE_LIMITED" || p.Error != "Rate limit exceeded. Please try again later." {
		t.Errorf("got %+v", p)
	}
	if got := w.Header().Get("WWW-Authenticate"); got != "" {
		t.Errorf("WWW-Authenticate is %q: another key is not what is asked for", got)
	}
}

func TestRetryAfterIsNeverZero(t *testing.T) {
	f := newFixture(t, limited("burst"))
	indextest.SetLimit(f.index, "burst", 1000, time.Second, 1)
	f.do("GET", "/v1/auth", "", "X-API-Key: "+f.key)
	w := f.do("GET", "/v1/auth", "", "X-API-Key: "+f.key)
	if got := w.Header().Get("Retry-After"); w.Code != 429 || got != "1" {
		t.Errorf("status %d, Retry-After %q, want 429 and 1", w.Code, got)
	}
}
