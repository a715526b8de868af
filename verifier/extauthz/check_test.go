package extauthz

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/go-logr/logr/funcr"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
)

func TestItRefuses(t *testing.T) {
	const (
		invalidToken = `Bearer realm="claviger", error="invalid_token", error_description="`
		badRequest   = `Bearer realm="claviger", error="invalid_request", error_description="Bad request"`
		unknownName  = "Bad request: context_extensions may hold scope, anyScope, resource, workspace, cost, tier and domain, and nothing else"
	)
	insufficient := func(scopes string) string {
		return `Bearer realm="claviger", error="insufficient_scope", error_description="API key does not have the required scope", scope="` + scopes + `"`
	}
	tests := map[string]struct {
		spec       func(*spec)
		change     func(*keyindex.Index)
		extensions []string
		headers    func(key string) []string
		status     int
		grpc       codes.Code
		code       string
		text       string
		challenge  string
	}{
		"no key": {headers: none,
			status: 401, grpc: codes.Unauthenticated, code: "KEY_REQUIRED", text: "API key is required", challenge: `Bearer realm="claviger"`},
		"another scheme": {headers: sends(`authorization: Digest username="a", uri="/"`),
			status: 401, grpc: codes.Unauthenticated, code: "KEY_REQUIRED", text: "API key is required", challenge: `Bearer realm="claviger"`},
		"an unknown key": {headers: sends("x-api-key: " + stranger(t)),
			status: 401, grpc: codes.Unauthenticated, code: "KEY_INVALID", text: "Invalid API key", challenge: invalidToken + `Invalid API key"`},
		"a malformed key": {headers: sends("x-api-key: hello"),
			status: 401, grpc: codes.Unauthenticated, code: "KEY_INVALID", text: "Invalid API key", challenge: invalidToken + `Invalid API key"`},
		"a key of another workspace": {headers: func(key string) []string { return []string{"x-api-key: " + key, "x-workspace-id: tenant/other"} },
			status: 401, grpc: codes.Unauthenticated, code: "KEY_INVALID", text: "Invalid API key", challenge: invalidToken + `Invalid API key"`},
		"a route for another workspace": {extensions: []string{"workspace: tenant/other"},
			status: 401, grpc: codes.Unauthenticated, code: "KEY_INVALID", text: "Invalid API key", challenge: invalidToken + `Invalid API key"`},
		"an expired key": {spec: func(s *spec) { s.TTL = &metav1.Duration{Duration: time.Minute} },
			status: 401, grpc: codes.Unauthenticated, code: "KEY_EXPIRED", text: "API key has expired", challenge: invalidToken + `API key has expired"`},
		"a revoked key": {spec: func(s *spec) { s.State = v1alpha1.KeyRevoked },
			status: 401, grpc: codes.Unauthenticated, code: "KEY_REVOKED", text: "API key has been revoked", challenge: invalidToken + `API key has been revoked"`},
		"a disabled key": {spec: func(s *spec) { s.State = v1alpha1.KeyDisabled },
			status: 403, grpc: codes.PermissionDenied, code: "KEY_DISABLED", text: "API key is disabled"},
		"a suspended workspace": {change: func(x *keyindex.Index) {
			indextest.SetWorkspace(x, "shop", func(s *v1alpha1.WorkspaceSpec) { s.Suspended = true })
		}, status: 403, grpc: codes.PermissionDenied, code: "WORKSPACE_SUSPENDED", text: "Workspace is suspended"},
		"another address": {spec: func(s *spec) { s.AllowedCIDRs = []v1alpha1.CIDR{"203.0.113.0/24"} },
			status: 403, grpc: codes.PermissionDenied, code: "ADDRESS_DENIED", text: "API key may not be used from this address"},
		"a scope it does not have": {extensions: []string{"scope: read, admin"},
			status: 403, grpc: codes.PermissionDenied, code: "SCOPE_INSUFFICIENT", text: "API key does not have the required scope", challenge: insufficient("read admin")},
		"none of the scopes": {extensions: []string{"anyScope: root admin"},
			status: 403, grpc: codes.PermissionDenied, code: "SCOPE_INSUFFICIENT", text: "API key does not have the required scope", challenge: insufficient("root admin")},
		"a scope that a header adds": {extensions: []string{"scope: read"}, headers: func(key string) []string {
			return []string{"x-api-key: " + key, "x-claviger-required-scope: admin"}
		}, status: 403, grpc: codes.PermissionDenied, code: "SCOPE_INSUFFICIENT", text: "API key does not have the required scope", challenge: insufficient("read admin")},
		"two different keys": {headers: func(key string) []string {
			return []string{"x-api-key: " + key, "authorization: Bearer " + stranger(t)}
		}, status: 400, grpc: codes.InvalidArgument, code: "REQUEST_INVALID", text: "Bad request: two different keys were sent; send one", challenge: badRequest},
		"two different keys in a header": {headers: func(key string) []string {
			return []string{"x-api-key: " + key, "x-api-key: " + stranger(t)}
		}, status: 400, grpc: codes.InvalidArgument, code: "REQUEST_INVALID", text: "Bad request: two different keys were sent; send one", challenge: badRequest},
		"two different workspaces": {headers: func(key string) []string {
			return []string{"x-api-key: " + key, "x-workspace-id: tenant/shop", "x-organization-id: tenant/other"}
		}, status: 400, grpc: codes.InvalidArgument, code: "REQUEST_INVALID", text: "Bad request: two different workspaces were named; name one", challenge: badRequest},
		"a misspelt extension": {extensions: []string{"scopes: read"},
			status: 400, grpc: codes.InvalidArgument, code: "REQUEST_INVALID", text: unknownName, challenge: badRequest},
		"an extension in another case": {extensions: []string{"Scope: read"},
			status: 400, grpc: codes.InvalidArgument, code: "REQUEST_INVALID", text: unknownName, challenge: badRequest},
		"an extension of nothing but separators": {extensions: []string{"scope: , ,"},
			status: 400, grpc: codes.InvalidArgument, code: "REQUEST_INVALID", text: `Bad request: the context extension "scope" is empty; leave it out where nothing is required`, challenge: badRequest},
		"an empty extension": {extensions: []string{"resource: "},
			status: 400, grpc: codes.InvalidArgument, code: "REQUEST_INVALID", text: `Bad request: the context extension "resource" is empty; leave it out where nothing is required`, challenge: badRequest},
		"a cost of nothing": {extensions: []string{"cost: 0"},
			status: 400, grpc: codes.InvalidArgument, code: "REQUEST_INVALID", text: "Bad request: the context extension cost must be a whole number from 1 on", challenge: badRequest},
		"a cost that is no number": {extensions: []string{"cost: 1e3"},
			status: 400, grpc: codes.InvalidArgument, code: "REQUEST_INVALID", text: "Bad request: the context extension cost must be a whole number from 1 on", challenge: badRequest},
		"a malformed scope": {extensions: []string{"scope: read\x00"},
			status: 400, grpc: codes.InvalidArgument, code: "REQUEST_INVALID", text: "Bad request: scope 1 of those required (allOf) is malformed: between the dots come words of letters, digits, _ and -, or * or **", challenge: badRequest},
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
			headers := []string{"x-api-key: " + f.key}
			if test.headers != nil {
				headers = test.headers(f.key)
			}
			got := f.refused(t, request(headers, test.extensions...))
			if got.status != test.status || got.code != test.grpc || got.problem.Code != test.code || got.problem.Error != test.text {
				t.Errorf("got %d %s %s %q, want %d %s %s %q", got.status, got.code, got.problem.Code, got.problem.Error, test.status, test.grpc, test.code, test.text)
			}
			if got := got.headers["www-authenticate"]; got != test.challenge {
				t.Errorf("WWW-Authenticate is\n%s, want\n%s", got, test.challenge)
			}
			if got.problem.RequestID != "from-envoy" {
				t.Errorf("the request ID is %q", got.problem.RequestID)
			}
		})
	}
}

func none(string) []string { return nil }

func sends(headers ...string) func(string) []string {
	return func(string) []string { return headers }
}

func TestAKeyMayComeInEachOfTheHeadersAndGoesNoFurther(t *testing.T) {
	f := newFixture(t)
	encoded := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	for _, headers := range [][]string{
		{"x-api-key: " + f.key},
		{"x-api-key: " + f.key, "x-api-key: " + f.key},
		{"authorization: Bearer " + f.key},
		{"authorization: Basic " + encoded(f.key)},
		{"authorization: Basic " + encoded("me:"+f.key)},
		{"authorization: Basic " + encoded(f.key+":")},
		{"x-api-key: " + f.key, "authorization: Bearer " + f.key},
		{"x-api-key: " + f.key, "authorization: Digest " + f.key},
	} {
		got := f.allowed(t, request(append(headers, "accept: */*")))
		for name, value := range got {
			if name == "x-api-key" || name == "authorization" || strings.Contains(value, f.key) {
				t.Errorf("%q: the service gets %s: %s", headers, name, value)
			}
		}
		if got["accept"] != "*/*" {
			t.Errorf("%q: the service gets only %v", headers, got)
		}
	}
}

func TestAnAuthorizationForTheServiceReachesIt(t *testing.T) {
	f := newFixture(t)
	for _, authorization := range []string{"Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "Basic bWU6c2VjcmV0", `Digest username="a"`} {
		got := f.allowed(t, request([]string{"x-api-key: " + f.key, "authorization: " + authorization}))
		if got["authorization"] != authorization {
			t.Errorf("%s reaches it as %q", authorization, got["authorization"])
		}
	}
}

func TestTheServiceLearnsWhoCallsFromNobodyElse(t *testing.T) {
	f := newFixture(t, func(s *spec) { s.ServiceAccountRef = &v1alpha1.LocalReference{Name: "robot"} })
	indextest.SetAccount(f.index, "robot")
	plain := newFixture(t)
	spoofed := []string{
		"x-claviger-key-id: forged", "x-claviger-key-name: forged", "x-claviger-namespace: forged", "x-claviger-workspace-id: forged",
		"x-claviger-environment: forged", "x-claviger-service-account: forged", "x-claviger-scopes: forged", "x-claviger-entity-kind: forged",
		"x-claviger-entity-id: forged", "x-claviger-entity-department: forged", "x-claviger-of-tomorrow: forged", "x-claviger-: forged", "x_claviger_key_id: forged",
	}
	want := map[string]string{
		"x-claviger-key-id":       string(indextest.UID("key", "k")),
		"x-claviger-key-name":     "k",
		"x-claviger-namespace":    "tenant",
		"x-claviger-workspace-id": "tenant/shop",
		"x-claviger-environment":  "live",
		"x-claviger-scopes":       "read write",
	}
	for name, f := range map[string]*fixture{"robot": f, "": plain} {
		got := f.allowed(t, request(append(spoofed, "x-api-key: "+f.key, "x-clavigerish: 1"), "scope: read"))
		for header, value := range got {
			if strings.HasPrefix(strings.ReplaceAll(header, "_", "-"), "x-claviger-") && value != want[header] && header != "x-claviger-service-account" {
				t.Errorf("the service gets %s: %s", header, value)
			}
		}
		for header, value := range want {
			if got[header] != value {
				t.Errorf("%s is %q, want %q", header, got[header], value)
			}
		}
		if got["x-claviger-service-account"] != name {
			t.Errorf("the account is %q, want %q", got["x-claviger-service-account"], name)
		}
		if got["x-clavigerish"] != "1" {
			t.Error("a header that only looks like ours is gone")
		}
	}
}

func TestRoutesMayRequire(t *testing.T) {
	f := newFixture(t)
	for _, extensions := range [][]string{
		{"scope: read"}, {"scope: read write"}, {"scope: read,write"}, {"scope: read,\n  write"}, {"anyScope: admin read"},
		{"workspace: tenant/shop"}, {"cost: 3", "tier: gold", "domain: shop.example"},
	} {
		f.allowed(t, request([]string{"x-api-key: " + f.key, "x-workspace-id: tenant/shop"}, extensions...))
	}
}

func TestLimitsAreToldAndKept(t *testing.T) {
	f := newFixture(t, limited("standard"))
	indextest.SetLimit(f.index, "standard", 5, time.Minute, 0)
	ask := func() *authv3.CheckResponse {
		return f.check(t, request([]string{"x-api-key: " + f.key, "ratelimit: forged"}, "cost: 2"))
	}
	for _, remaining := range []int{3, 1} {
		response := ask()
		told := set(t, response.GetOkResponse().GetResponseHeadersToAdd())
		if !strings.HasPrefix(told["ratelimit"], fmt.Sprintf(`"minute";r=%d;t=`, remaining)) || told["ratelimit-policy"] != `"minute";q=5;w=60` || len(told) != 2 {
			t.Errorf("the client is told %v", told)
		}
		left := response.GetDynamicMetadata().GetFields()["claviger"].GetStructValue().GetFields()["remaining"].GetStructValue().GetFields()["minute"]
		if left.GetNumberValue() != float64(remaining) {
			t.Errorf("other filters are told %v, want %d", left, remaining)
		}
	}
	got := refusalOf(t, ask())
	if got.status != 429 || got.code != codes.ResourceExhausted || got.problem.Code != "RATE_LIMITED" {
		t.Errorf("got %+v", got)
	}
	if after, err := strconv.Atoi(got.headers["retry-after"]); err != nil || after < 1 || !strings.HasPrefix(got.headers["ratelimit"], `"minute";r=1;`) || got.headers["www-authenticate"] != "" {
		t.Errorf("the headers are %v", got.headers)
	}
}

func TestWhereAClientIs(t *testing.T) {
	f := newFixture(t, func(s *spec) { s.AllowedCIDRs = []v1alpha1.CIDR{"203.0.113.0/24"} })
	tests := map[string]struct {
		source    string
		forwarded string
		allowed   bool
	}{
		"there":                    {"203.0.113.9", "", true},
		"there, as IPv6":           {"::ffff:203.0.113.9", "", true},
		"elsewhere":                {"198.51.100.7", "", false},
		"elsewhere, and a liar":    {"198.51.100.7", "203.0.113.9", false},
		"behind a trusted proxy":   {"10.0.0.1", "203.0.113.9", true},
		"a liar behind a proxy":    {"10.0.0.1", "203.0.113.9, 198.51.100.7", false},
		"behind two of them":       {"10.0.0.1", "203.0.113.9, 10.0.0.2", true},
		"a name":                   {"localhost", "203.0.113.9", false},
		"not known":                {"", "203.0.113.9", false},
		"nonsense from the client": {"10.0.0.1", "\x00", false},
	}
	for name, test := range tests {
		r := request([]string{"x-api-key: " + f.key, "x-forwarded-for: " + test.forwarded})
		r.Attributes.Source.Address.GetSocketAddress().Address = test.source
		if got := f.check(t, r).GetOkResponse() != nil; got != test.allowed {
			t.Errorf("%s: allowed is %t", name, got)
		}
	}
	pipe := request([]string{"x-api-key: " + f.key})
	pipe.Attributes.Source.Address.Address = &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: "203.0.113.9"}}
	if got := f.refused(t, pipe); got.problem.Code != "ADDRESS_DENIED" {
		t.Errorf("from a pipe: %+v", got)
	}
}

func TestRawHeadersAreReadToo(t *testing.T) {
	f := newFixture(t)
	raw := func(headers ...string) *authv3.CheckRequest {
		r := request(nil)
		r.Attributes.Request.Http.HeaderMap = &corev3.HeaderMap{}
		for _, header := range headers {
			name, value, _ := strings.Cut(header, ": ")
			m := r.Attributes.Request.Http.HeaderMap
			m.Headers = append(m.Headers, &corev3.HeaderValue{Key: name, RawValue: []byte(value)})
		}
		return r
	}
	f.allowed(t, raw("authorization: Bearer eyJ", "x-api-key: "+f.key, "x-api-key: "+f.key, "cookie: \xff"))
	if got := f.refused(t, raw("x-api-key: "+f.key, "x-api-key: "+stranger(t))); got.status != 400 {
		t.Errorf("two keys: %+v", got)
	}
	response := f.check(t, raw("x-api-key: "+f.key, "x-claviger-of-tomorrow: forged"))
	if removed := response.GetOkResponse().GetHeadersToRemove(); !strings.Contains(strings.Join(removed, " "), "x-claviger-of-tomorrow") {
		t.Errorf("only %q are removed", removed)
	}
}

func TestBeforeAllKeysAreKnownNoneIsCalledInvalid(t *testing.T) {
	ready := errors.New("the list of keys is not read yet")
	f := newFixtureWith(t, func(o *Options) { o.Ready = func() error { return ready } })
	got := f.refused(t, request([]string{"x-api-key: " + f.key}))
	if got.status != 503 || got.code != codes.Unavailable || got.problem.Code != "NOT_READY" || got.headers["retry-after"] != "1" {
		t.Errorf("got %+v", got)
	}
	ready = nil
	f.allowed(t, request([]string{"x-api-key: " + f.key}))
}

func TestRequestIDs(t *testing.T) {
	f := newFixture(t)
	for sent, kept := range map[string]bool{"abc-123": true, "": false, "a b": false, f.key: false, strings.Repeat("a", 200): false} {
		r := request(nil)
		r.Attributes.Request.Http.Id = sent
		if got := f.refused(t, r); (got.problem.RequestID == sent) != kept || strings.Contains(got.problem.RequestID, f.key) {
			t.Errorf("of %q became %q", sent, got.problem.RequestID)
		}
	}
}

func TestAKeyInTheURLIsTakenWhereThatIsSwitchedOn(t *testing.T) {
	ask := func(f *fixture, path string, headers ...string) *authv3.CheckResponse {
		r := request(headers)
		r.Attributes.Request.Http.Path = path
		return f.check(t, r)
	}
	f := newFixture(t)
	if got := refusalOf(t, ask(f, "/orders?api_key="+f.key)); got.problem.Code != "KEY_REQUIRED" {
		t.Errorf("switched off: %+v", got)
	}
	f = newFixtureWith(t, func(o *Options) { o.QueryKey = "api_key" })
	for _, path := range []string{"/orders?api_key=", "/orders?a=b&api_key=", "/?x=%zz&api_key="} {
		ok := ask(f, path+f.key).GetOkResponse()
		if removed := ok.GetQueryParametersToRemove(); len(removed) != 1 || removed[0] != "api_key" {
			t.Errorf("%s: of the query %q are removed", path, removed)
		}
	}
	if got := refusalOf(t, ask(f, "/?api_key="+f.key, "x-api-key: "+stranger(t))); got.problem.Code != "REQUEST_INVALID" {
		t.Errorf("two keys: %+v", got)
	}
}

// A key of another format does not show by its form, and ends up as an ID by mistake.
func TestAKeyOfAnotherFormatIsNeitherIDNorLogged(t *testing.T) {
	const key, other = "sk-9f8e7d6c5b4a3928", "sk-0000000000000000"
	var log strings.Builder
	f := unserved(t, func(o *Options) {
		o.Log = funcr.New(func(_, args string) { log.WriteString(args) }, funcr.Options{Verbosity: 1})
	})
	indextest.Bring(t, f.index, "brought", key)
	ask := func(headers ...string) string {
		message, err := f.Server.check(t.Context(), func(x any) error {
			return x.(*exchange).receive(mem.BufferSlice{mem.SliceBuffer(marshal(t, request(headers)))})
		})
		if err != nil {
			t.Fatal(err)
		}
		return string(*message.(*[]byte))
	}
	if answer := ask("x-api-key: "+key, "x-request-id: a-"+key); strings.Contains(answer, key) || !strings.Contains(answer, "VALID") {
		t.Errorf("the request with it for a key and for an ID is answered %q", answer)
	}
	// Whoever has no key is not told which texts are keys, but nor does the log have them.
	if a, b := ask("x-request-id: "+key), ask("x-request-id: "+other); strings.ReplaceAll(a, key, "") != strings.ReplaceAll(b, other, "") {
		t.Errorf("it is answered %q, another text %q", a, b)
	}
	if text := log.String(); strings.Contains(text, key) || !strings.Contains(text, other) || !strings.Contains(text, "(redacted)") {
		t.Errorf("logged is %s", text)
	}
}
