package httpapi

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/verifier"
)

func TestWhatARouteRequires(t *testing.T) {
	f := newFixture(t)
	const query = "Bad request: the query may hold scope, anyScope, workspace, resource and cost, not "
	tests := map[string]struct {
		query   string
		headers []string
		status  int
		text    string // of a bad request
	}{
		"nothing":                       {"", nil, 200, ""},
		"one of several scopes":         {"anyScope=admin,write", nil, 200, ""},
		"one of none it has":            {"anyScope=admin,root", nil, 403, ""},
		"all and one of several":        {"scope=read&anyScope=admin,write", nil, 200, ""},
		"its workspace":                 {"workspace=tenant/shop", nil, 200, ""},
		"its workspace, escaped":        {"workspace=tenant%2Fshop", nil, 200, ""},
		"another workspace":             {"workspace=tenant/other", nil, 401, ""},
		"its workspace, and the client": {"workspace=tenant/shop", []string{"X-Workspace-Id: tenant/shop"}, 200, ""},
		"a workspace, and a client that speaks of another": {"workspace=tenant/shop", []string{"X-Workspace-Id: tenant/other"}, 400,
			"Bad request: two different workspaces were named; name one"},
		"a resource":                   {"resource=property/1&scope=read", nil, 200, ""},
		"a scope in the header":        {"", []string{"X-Claviger-Required-Scope: read"}, 200, ""},
		"scopes in headers":            {"scope=read", []string{"X-Claviger-Required-Scope: read, write", "X-Claviger-Required-Scope: admin"}, 403, ""},
		"alternatives twice":           {"anyScope=admin&anyScope=read", nil, 400, "Bad request: anyScope is there twice"},
		"no alternatives":              {"anyScope=", nil, 400, "Bad request: scope 1 of those required (anyOf) is malformed: a scope must not be empty"},
		"a workspace twice":            {"workspace=tenant/shop&workspace=tenant/shop", nil, 400, "Bad request: workspace is there twice"},
		"a resource twice":             {"resource=a&resource=b", nil, 400, "Bad request: resource is there twice"},
		"a cost twice":                 {"cost=5&cost=1", nil, 400, "Bad request: cost is there twice"},
		"a variable that was not set":  {"resource=", nil, 400, "Bad request: resource is empty; leave it out where nothing is required"},
		"a workspace that was not set": {"workspace=&scope=read", nil, 400, "Bad request: workspace is empty; leave it out where nothing is required"},
		"no cost":                      {"cost=0", nil, 400, "Bad request: cost must be a whole number from 1 on"},
		"a cost that gives back":       {"cost=-1", nil, 400, "Bad request: cost must be a whole number from 1 on"},
		"a cost beyond all":            {"cost=99999999", nil, 400, "Bad request: cost.requests must be from 1 to 10000000"},
		"another parameter":            {"tier=gold", nil, 400, query + `"tier"`},
		"the key in the query":         {"api_key=" + f.key, nil, 400, query + `"api_key"`},
		"a malformed scope in a header": {"", []string{"X-Claviger-Required-Scope: a:b:c"}, 400,
			"Bad request: scope 1 of those required (allOf) is malformed: after the colon comes one verb, of letters, digits, _ and -, or *"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := f.do("GET", "/v1/auth?"+test.query, "", append(test.headers, "X-API-Key: "+f.key)...)
			if w.Code != test.status {
				t.Errorf("status %d, want %d: %s", w.Code, test.status, w.Body)
			}
			if test.text != "" {
				if p := problemOf(t, w); p.Error != test.text {
					t.Errorf("got %q, want %q", p.Error, test.text)
				}
			}
		})
	}
}

func TestARouteMayCostMore(t *testing.T) {
	f := newFixture(t, limited("ten"))
	indextest.SetLimit(f.index, "ten", 10, time.Minute, 0)
	f.do("GET", "/v1/auth?cost=7", "", "X-API-Key: "+f.key)
	if w := f.do("GET", "/v1/auth?cost=4", "", "X-API-Key: "+f.key); w.Code != 429 {
		t.Errorf("7 and 4 of 10: status %d", w.Code)
	}
	if w := f.do("GET", "/v1/auth?cost=3", "", "X-API-Key: "+f.key); w.Code != 200 || w.Header().Get("RateLimit") != `"minute";r=0;t=60` {
		t.Errorf("7 and 3 of 10: status %d, %v", w.Code, w.Header())
	}
}

// Whatever a client sends in headers, and whatever it smuggles in where a gateway puts a part of
// its path into the query: what did not pass without, does not pass with it.
func TestNoClientCanRequireLess(t *testing.T) {
	f := newFixture(t)
	routes := []string{"scope=admin&", "anyScope=admin,root&", "workspace=tenant/other&", "scope=read&scope=admin&resource=", "anyScope=admin&resource="}
	names := []string{
		"X-Claviger-Required-Scope", "X-Claviger-Required-Resource", "X-Claviger-Resource", "X-Claviger-Scopes", "X-Claviger-Cost", "X-Workspace-Id",
		"X-Organization-Id", "X-Original-Uri", "X-Forwarded-Uri", "X-Original-Url", "X-Rewrite-Url", "X-Forwarded-Method", "X-Http-Method-Override", "X-Claviger-Key-Id",
	}
	values := []string{"", "read", "read write", "tenant/shop", "tenant/other", "/v1/auth?scope=read", "/?scope=read", "*", "**", "GET"}
	smuggled := []string{"", "1", "&scope=read", "1&scope=read", "1&anyScope=read", "&anyScope=read", "&workspace=tenant/shop", "1&resource=2", "&cost=1", "#", "%26anyScope=read", "1;anyScope=read", "&scope", "&&"}
	rapid.Check(t, func(t *rapid.T) {
		r := httptest.NewRequest(rapid.SampledFrom([]string{"GET", "POST", "OPTIONS"}).Draw(t, "method"), "/v1/auth", nil)
		r.URL = &url.URL{Path: "/v1/auth", RawQuery: rapid.SampledFrom(routes).Draw(t, "route") + strings.Join(rapid.SliceOf(rapid.SampledFrom(smuggled)).Draw(t, "smuggled"), "")}
		for _, name := range rapid.SliceOf(rapid.SampledFrom(names)).Draw(t, "headers") {
			r.Header.Add(name, rapid.SampledFrom(values).Draw(t, name))
		}
		r.Header.Set("X-Api-Key", f.key)
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		if w.Code == http.StatusOK {
			t.Fatalf("%s passed with %v", r.URL.RawQuery, r.Header)
		}
	})
}

func TestAKeyInTheURLIsTakenWhereThatIsSwitchedOn(t *testing.T) {
	f := newFixture(t)
	v, err := verifier.New(verifier.Options{Index: f.index, Now: func() time.Time { return f.now }})
	if err != nil {
		t.Fatal(err)
	}
	on, err := NewHandler(v, Options{QueryKey: "api_key", Now: func() time.Time { return f.now }})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		headers []string
		status  int
	}{
		"as Traefik and Caddy tell":     {[]string{"X-Forwarded-Uri: /orders?page=2&api_key=%k"}, 200},
		"as nginx tells":                {[]string{"X-Original-URI: /orders?api_key=%k"}, 200},
		"as nginx tells the whole URL":  {[]string{"X-Original-URL: https://api.example.com/orders?api_key=%k#top"}, 200},
		"with its name escaped":         {[]string{"X-Forwarded-Uri: /?api%5Fkey=%k"}, 401},
		"the same key in the header":    {[]string{"X-Forwarded-Uri: /?api_key=%k", "X-API-Key: %k"}, 200},
		"beside a user's JWT":           {[]string{"X-Forwarded-Uri: /?api_key=%k", "Authorization: Bearer ey.J.w"}, 200},
		"beside nonsense":               {[]string{"X-Forwarded-Uri: /?a=%zz&;&api_key=%k"}, 200},
		"another key in the header":     {[]string{"X-Forwarded-Uri: /?api_key=%k", "X-API-Key: other"}, 400},
		"two keys":                      {[]string{"X-Forwarded-Uri: /?api_key=%k&api_key=other"}, 400},
		"another parameter":             {[]string{"X-Forwarded-Uri: /?key=%k"}, 401},
		"in the path":                   {[]string{"X-Forwarded-Uri: /api_key=%k"}, 401},
		"in the fragment":               {[]string{"X-Forwarded-Uri: /?a=b#?api_key=%k"}, 401},
		"empty":                         {[]string{"X-Forwarded-Uri: /?api_key="}, 401},
		"a URL that is nothing of that": {[]string{"X-Forwarded-Uri: ?&=?", "X-Original-URL: %"}, 401},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			headers := withKey(test.headers, f.key)
			switchedOff := f.do("GET", "/v1/auth", "", headers...)
			f := fixture{Handler: on}
			if w := f.do("GET", "/v1/auth", "", headers...); w.Code != test.status {
				t.Errorf("status %d, want %d: %s", w.Code, test.status, w.Body)
			}
			if switchedOff.Code == http.StatusOK && !strings.Contains(strings.Join(headers, "\n"), "X-API-Key") {
				t.Error("it was taken though it is switched off")
			}
		})
	}
}
