package httpapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/verifier"
)

// document loads what is served.
func document(t *testing.T, f *fixture) *openapi3.T {
	t.Helper()
	w := f.do("GET", "/v1/openapi.json", "")
	document, err := openapi3.NewLoader().LoadFromData(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func TestTheDocumentIsOpenAPI31(t *testing.T) {
	d := document(t, newFixture(t))
	if !strings.HasPrefix(d.OpenAPI, "3.1.") {
		t.Errorf("it is of version %s", d.OpenAPI)
	}
	if err := d.Validate(context.Background()); err != nil {
		t.Error(err)
	}
}

// ofAnalytics are paths that package analytics answers, and holds to the document.
func ofAnalytics(path string) bool {
	return strings.HasPrefix(path, "/v1/api-keys/") || strings.HasPrefix(path, "/v1/analytics/")
}

func TestTheDocumentHasEveryDoorAndNoOther(t *testing.T) {
	f := newFixture(t)
	described := document(t, f).Paths.Map()
	doors := f.Handler.(*handler).doors
	for path, door := range doors {
		item, ok := described[path]
		if !ok {
			t.Errorf("%s is not in openapi.yaml", path)
			continue
		}
		for method := range item.Operations() {
			if len(door.methods) > 0 && !slices.Contains(door.methods, method) {
				t.Errorf("%s %s is in openapi.yaml and not answered", method, path)
			}
		}
		for _, method := range door.methods {
			if method != http.MethodHead && item.GetOperation(method) == nil {
				t.Errorf("%s %s is answered and not in openapi.yaml", method, path)
			}
		}
	}
	for path := range described {
		if ofAnalytics(path) {
			continue
		}
		if doors[path] == nil {
			t.Errorf("%s is in openapi.yaml and there is no such door", path)
		}
	}
}

func TestTheDocumentHasEveryCode(t *testing.T) {
	d := document(t, newFixture(t))
	var codes []any
	for _, code := range policy.Codes() {
		codes = append(codes, code.String())
	}
	if got := d.Components.Schemas["Code"].Value.Enum; !slices.Equal(got, codes) {
		t.Errorf("there are %q, want %q", got, codes)
	}
}

// probe is a request and the status that it is answered with.
type probe struct {
	method, target, body string
	headers              []string
	status               int
	change               func(*fixture)
}

func probes(key string) []probe {
	bearer := "Authorization: Bearer " + key
	notReady := func(f *fixture) { f.ready = errors.New("a test") }
	overloaded := func(f *fixture) { fill(f.Handler.(*handler).gate) }
	tried := func(f *fixture) {
		for range verifier.DefaultInvalidKeysPerMinute {
			f.do("GET", "/v1/auth", "", "X-API-Key: hello")
		}
	}
	question := `{"key":"` + key + `","scopes":{"allOf":["read"],"anyOf":["write"]},"workspace":"tenant/shop","resource":null,"clientIP":"192.0.2.1",` +
		`"cost":{"requests":2,"spendMicrocents":1},"labels":{"tier":"gold","domain":"d"},"explain":true}`
	report := `{"requestId":"r-1","key":"` + key + `","keyId":null,"spendMicrocents":1,"outcome":"failure","error":"it broke","labels":{"tier":"gold","domain":"d"},"latencyMs":12}`
	reported := func(f *fixture) {
		for range verifier.DefaultInvalidKeysPerMinute {
			f.do("POST", "/v1/usage", `{"requestId":"r","key":"hello"}`)
		}
	}
	long := strings.Repeat(" ", maxBatchBody+1)
	list := []probe{
		{"POST", "/v1/verify", question, nil, 200, nil},
		{"POST", "/v1/verify", `{"key":"` + key + `"}`, nil, 200, nil},
		{"POST", "/v1/verify", `{"key":"` + key + `","scopes":{"allOf":["admin"]},"explain":true}`, nil, 200, nil},
		{"POST", "/v1/verify", `{"key":"hello","explain":true}`, nil, 200, nil},
		{"POST", "/v1/verify", `{}`, nil, 200, nil},
		{"POST", "/v1/verify", `{"key":"` + key + `","cost":{"requests":100}}`, nil, 200, nil},
		{"POST", "/v1/verify/batch", `{"requests":[` + question + `,{"key":"hello"},{"key":"` + key + `","workspace":"a/b"}]}`, nil, 200, nil},
		{"POST", "/v1/verify/batch", `{"requests":[]}`, nil, 200, nil},
		{"POST", "/v1/introspect", "token=" + key + "&token_type_hint=access_token", []string{form}, 200, nil},
		{"POST", "/v1/introspect", "token=hello", []string{form}, 200, nil},
		{"POST", "/v1/usage", report, nil, 200, nil},
		{"POST", "/v1/usage", `{"keyId":"` + string(indextest.UID("key", "k")) + `","outcome":null,"labels":null}`, []string{"X-Request-Id: r-1"}, 200, nil},
		{"POST", "/v1/usage", `{}`, []string{bearer, "X-Request-Id: r-1"}, 200, nil},
		{"POST", "/v1/usage", `{"reports":[` + report + `,` + report + `,{"requestId":"r-2","key":"hello"},{"requestId":"r-3"},{}]}`, nil, 200, nil},
		{"POST", "/v1/usage", `{"reports":[]}`, nil, 200, nil},
		{"POST", "/v1/usage", `{"requestId":"r-1","key":"hello"}`, nil, 404, nil},
		{"POST", "/v1/usage", `{"requestId":"r-1","key":"hello"}`, nil, 429, reported},
		{"GET", "/v1/auth?scope=read&scope=write&anyScope=read,admin&workspace=tenant/shop&resource=a/b&cost=1", "",
			[]string{bearer, "X-Workspace-Id: tenant/shop", "X-Organization-Id: tenant/shop", "X-Claviger-Required-Scope: read"}, 200, nil},
		{"GET", "/v1/scope?scope=read", "", []string{bearer}, 200, nil},
		{"GET", "/v1/openapi.json", "", nil, 200, nil},
		{"GET", "/docs", "", nil, 200, nil},
		{"GET", "/healthz", "", nil, 200, nil},
		{"GET", "/readyz", "", nil, 200, nil},
		{"GET", "/readyz", "", nil, 503, notReady},
		{"PUT", "/v1/openapi.json", "", nil, 405, nil},
		{"PUT", "/docs", "", nil, 405, nil},
		{"PUT", "/v1/scope", "", nil, 405, nil},
		{"GET", "/v1/auth?cost=100", "", []string{bearer}, 429, nil},
		{"GET", "/v1/auth/nginx?cost=100", "", []string{bearer}, 403, nil},
	}
	for _, path := range []string{"/v1/auth", "/v1/scope"} {
		list = append(list,
			probe{"GET", path, "", []string{bearer}, 200, nil},
			probe{"GET", path + "?scpoe=read", "", []string{bearer}, 400, nil},
			probe{"GET", path, "", nil, 401, nil},
			probe{"GET", path, "", []string{"X-API-Key: hello"}, 401, nil},
			probe{"GET", path + "?scope=admin", "", []string{bearer}, 403, nil},
			probe{"GET", path, "", []string{"X-API-Key: hello"}, 429, tried},
			probe{"GET", path, "", []string{bearer}, 503, notReady},
			probe{"GET", path, "", []string{bearer}, 503, overloaded},
		)
	}
	for _, change := range []func(*fixture){nil, notReady, overloaded} {
		status := 403
		if change == nil {
			status = 200
		}
		list = append(list, probe{"GET", "/v1/auth/nginx", "", []string{bearer}, status, change})
	}
	list = append(list, probe{"GET", "/v1/auth/nginx", "", nil, 401, nil}, probe{"GET", "/v1/auth/nginx?a=b", "", []string{bearer}, 403, nil})
	for _, path := range []string{"/v1/verify", "/v1/verify/batch", "/v1/introspect", "/v1/usage"} {
		list = append(list,
			probe{"POST", path, `{"what":`, []string{form}, 400, nil},
			probe{"POST", path, long, []string{form}, 413, nil},
			probe{"GET", path, "", nil, 405, nil},
			probe{"POST", path, "", nil, 503, notReady},
			probe{"POST", path, "", nil, 503, overloaded},
		)
	}
	return list
}

// wholeFixture has a key about which there is all to say that can be said.
func wholeFixture(t *testing.T) *fixture {
	end := metav1.NewTime(now.Add(time.Hour))
	f := newFixture(t, func(s *spec) {
		s.ExpiresAt = &end
		s.DisplayName = "A key"
		s.ServiceAccountRef = &v1alpha1.LocalReference{Name: "robot"}
		s.Metadata = map[string]v1alpha1.MetadataValue{"note": "pays late"}
		s.Entity = &v1alpha1.Entity{Kind: "Department", ID: "logistics", Department: "operations"}
		s.LimitRefs = indextest.Refs("ten", "quota", "budget", "concurrency")
	})
	indextest.SetAccount(f.index, "robot")
	indextest.SetLimit(f.index, "ten", 10, time.Minute, 10)
	indextest.SetKeyLimit(f.index, "quota", indextest.Quota(1000, v1alpha1.ResetMonthly))
	indextest.SetKeyLimit(f.index, "budget", indextest.Budget(1000, v1alpha1.ResetDaily))
	indextest.SetKeyLimit(f.index, "concurrency", indextest.Concurrency(10))
	return f
}

// The document is held to what the doors really take and answer, and the doors to the document.
func TestTheDocumentIsTrue(t *testing.T) {
	openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.FileBodyDecoder)
	d := document(t, newFixture(t))
	answered := map[string]bool{}
	for _, p := range probes("%k") {
		f := wholeFixture(t)
		if p.change != nil {
			p.change(f)
		}
		p.target, p.body = strings.ReplaceAll(p.target, "%k", f.key), strings.ReplaceAll(p.body, "%k", f.key)
		p.headers = withKey(p.headers, f.key)
		if strings.HasPrefix(p.body, "{") && !slices.Contains(p.headers, form) {
			p.headers = append(p.headers, "Content-Type: application/json")
		}
		w := f.do(p.method, p.target, p.body, p.headers...)
		if w.Code != p.status {
			t.Errorf("%s %s: got %d %s, want %d", p.method, p.target, w.Code, w.Body, p.status)
			continue
		}
		path, _, _ := strings.Cut(p.target, "?")
		answered[path+" "+strconv.Itoa(p.status)] = true
		hold(t, d, &p, path, w)
	}
	for path, item := range d.Paths.Map() {
		if ofAnalytics(path) {
			continue
		}
		for _, operation := range item.Operations() {
			for status := range operation.Responses.Map() {
				if !answered[path+" "+status] {
					t.Errorf("openapi.yaml has a %s at %s, which no request here is answered with", status, path)
				}
			}
		}
	}
}

// hold holds an answer, and a request that was understood, to the document.
func hold(t *testing.T, d *openapi3.T, p *probe, path string, w *httptest.ResponseRecorder) {
	t.Helper()
	item := d.Paths.Value(path)
	method := p.method
	operation := item.GetOperation(method)
	if operation == nil { // refused, as any other method is
		for method, operation = range item.Operations() {
			break
		}
	}
	if operation.Responses.Status(p.status) == nil {
		t.Errorf("%s %s: a %d is not in openapi.yaml", p.method, p.target, p.status)
		return
	}
	request := httptest.NewRequest(p.method, p.target, strings.NewReader(p.body))
	for _, header := range p.headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Add(name, value)
	}
	input := &openapi3filter.RequestValidationInput{
		Request: request, QueryParams: request.URL.Query(),
		Route: &routers.Route{Spec: d, Path: path, PathItem: item, Method: method, Operation: operation},
		Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, SkipSettingDefaults: true,
		},
	}
	if p.status == http.StatusOK {
		if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
			t.Errorf("%s %s is answered, but not a request by openapi.yaml: %v", p.method, p.target, err)
		}
	}
	err := openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: p.status, Header: w.Header(), Body: io.NopCloser(bytes.NewReader(w.Body.Bytes())),
		Options: input.Options,
	})
	if err != nil {
		t.Errorf("%s %s: the answer %d is not as in openapi.yaml: %v", p.method, p.target, p.status, err)
	}
}

func TestTheDocumentationIsReadWithoutScripts(t *testing.T) {
	f := newFixture(t)
	w := f.do("GET", "/docs", "")
	page := w.Body.String()
	for _, path := range slices.Collect(maps.Keys(f.Handler.(*handler).doors)) {
		if !strings.Contains(page, path+"</code>") {
			t.Errorf("%s is not on the page", path)
		}
	}
	for _, name := range []string{"Question", "Verdict", "Problem", "Report", "Reports", "ReportResult", "ReportResults"} {
		if !strings.Contains(page, `id="`+name+`"`) || !strings.Contains(page, `href="#`+name+`"`) {
			t.Errorf("%s is not on the page, or not linked", name)
		}
	}
	for _, foreign := range []string{"<script", "&lt;nil", "http://", "https://", "style=", "ZgotmplZ", "%!"} {
		if strings.Contains(page, foreign) {
			t.Errorf("there is a %q on the page", foreign)
		}
	}
	if got := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'; style-src 'sha256-") {
		t.Errorf("the policy is %s", got)
	}
}
