package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/claviger-dev/claviger/internal/scope"
	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/httpapi/internal/strictjson"
)

func decodeQuestion(body []byte) (verifier.Request, error) {
	var (
		r strictjson.Reader
		q question
	)
	r.Reset(body)
	err := q.decode(&r, "the body")
	return q.request, err
}

// What is accepted, and what it means, is what encoding/json and the few stricter rules say.
func FuzzDecodeQuestion(f *testing.F) {
	for _, seed := range []string{
		`{"key":"a","scopes":{"allOf":["a"],"anyOf":["b"]},"workspace":"w","clientIP":"::1","resource":"r","cost":{"requests":2,"spendMicrocents":-3},"labels":{"tier":"t","domain":"d"},"explain":true}`,
		`{}`, `{"key":null}`, `{"scopes":null}`, `{"scopes":{}}`, `{"key":"\u0000"}`, `{"key":"a",}`, `{"key" "a"}`, `{,}`,
		`{"scopes":{"allOf":[,]}}`, `[1,]`, `{"key":"a"}{}`, "\xef\xbb\xbf{}", `{"a":{"b":1}}`, `{"key":"a","key":"b"}`, `{"k\u0065y":"\ud83d\ude00"}`,
		`{"cost":{"requests":1.0}}`, `{"cost":{"requests":9223372036854775808}}`, `{"explain":null,"labels":{"tier":null},"cost":null}`, "{\"key\":\"\xff\"}",
		`{"scopes":{"allOf":[null,"a"],"allOf":[]}}`, ` {"scopes" : { "allOf" : [ ] } } `,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		request, err := decodeQuestion(body)
		want, wanted := referenceQuestion(bytes.NewReader(body))
		if (err == nil) != (wanted == nil) {
			t.Fatalf("%q: %v, encoding/json: %v", body, err, wanted)
		}
		if err != nil {
			if i := (*invalid)(nil); !errors.As(err, &i) || i.status != http.StatusBadRequest || !utf8.ValidString(i.text) {
				t.Fatalf("the error is not for the client: %v", err)
			}
			return
		}
		// An empty list is as good as none.
		for _, list := range []*[]string{&want.Scopes.AllOf, &want.Scopes.AnyOf, &request.Scopes.AllOf, &request.Scopes.AnyOf} {
			if len(*list) == 0 {
				*list = nil
			}
		}
		if !reflect.DeepEqual(request, want) {
			t.Fatalf("%q read as %+v, want %+v", body, request, want)
		}
	})
}

// The key has the scopes read and write, and belongs to tenant/shop. It must pass only if the
// query asks for nothing else, however that is written.
func FuzzScopeQuery(f *testing.F) {
	for _, seed := range []string{"", "scope=a", "scope=a&scope=b:c", "scopes=a", "scope=a;scope=b", "scope=%", "scope", "=a", "scope=a%26scope=b", "scope=a b", "&&",
		"anyScope=a,read", "anyScope=a&anyScope=read", "anyScope=", "workspace=tenant/shop", "workspace=", "resource=r&resource=r", "cost=0", "cost=2", "scope=read&cost=+1"} {
		f.Add(seed)
	}
	const badRequest = `Bearer realm="claviger", error="invalid_request", error_description="Bad request"`
	fixture := newFixture(f)
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("GET", "/v1/auth", nil)
		r.URL = &url.URL{Path: "/v1/auth", RawQuery: query}
		r.Header.Set("X-API-Key", fixture.key)
		w := httptest.NewRecorder()
		fixture.ServeHTTP(w, r)

		values, err := url.ParseQuery(query)
		if passed := w.Code == http.StatusOK; passed != (err == nil && granted(values)) {
			t.Fatalf("%q: passed %t, values %v, %v", query, passed, values, err)
		}
		for _, value := range values["scope"] {
			if scope.Validate(value) != nil && w.Header().Get("WWW-Authenticate") != badRequest {
				t.Fatalf("for a malformed scope the challenge is %q", w.Header().Get("WWW-Authenticate"))
			}
		}
	})
}

// granted says whether the key of FuzzScopeQuery satisfies a query.
func granted(values url.Values) bool {
	has := func(scope string) bool { return scope == "read" || scope == "write" }
	for name, list := range values {
		switch {
		case name == "scope" && !slices.ContainsFunc(list, func(s string) bool { return !has(s) }):
		case len(list) > 1:
			return false
		case name == "anyScope":
			alternatives := strings.Split(list[0], ",")
			malformed := slices.ContainsFunc(alternatives, func(s string) bool { return scope.Validate(s) != nil })
			if malformed || !slices.ContainsFunc(alternatives, has) {
				return false
			}
		case name == "workspace" && list[0] == "tenant/shop":
		case name == "resource" && list[0] != "" && len(list[0]) <= verifier.MaxText:
		case name == "cost":
			if n, err := strconv.ParseInt(list[0], 10, 64); err != nil || n < 1 || n > 10_000_000 {
				return false
			}
		default:
			return false
		}
	}
	return len(values["scope"]) <= verifier.MaxScopes
}

// What is accepted of a report, and what it means, is what encoding/json and the few stricter rules say.
func FuzzDecodeReport(f *testing.F) {
	for _, seed := range []string{
		`{"requestId":"r-1","key":"a","keyId":"0b6c0000-0000-4000-8000-000000000001","spendMicrocents":1200,"outcome":"failure","error":"e","labels":{"tier":"t","domain":"d"},"latencyMs":12}`,
		`{}`, `{"requestId":null,"key":null,"keyId":null,"labels":null,"latencyMs":null}`, `{"requestId":"a b"}`, `{"requestId":"ak_live_x"}`, `{"keyId":"0B6C"}`,
		`{"latencyMs":86400001}`, `{"latencyMs":-1}`, `{"spendMicrocents":-9223372036854775808}`, `{"spendMicrocents":1e3}`, `{"labels":{"tier":"a","tier":"b"}}`,
		`{"reports":[]}`, `{"outcome":"\u0000","error":"\ud800"}`, `{"requestId":"r"}x`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var (
			r  strictjson.Reader
			rp report
		)
		r.Reset(body)
		err := readRoot(&rp, &r, "the body", (*report).field)
		want, wanted := referenceReport(bytes.NewReader(body))
		if (err == nil) != (wanted == nil) {
			t.Fatalf("%q: %v, encoding/json: %v", body, err, wanted)
		}
		if err != nil {
			if i := (*invalid)(nil); !errors.As(err, &i) || i.status != http.StatusBadRequest || !utf8.ValidString(i.text) {
				t.Fatalf("the error is not for the client: %v", err)
			}
			return
		}
		if rp.report != want {
			t.Fatalf("%q read as %+v, want %+v", body, rp.report, want)
		}
	})
}

// Whatever is reported: the answer is JSON, has a result for each report, and repeats no key.
func FuzzUsage(f *testing.F) {
	fixture := newFixture(f)
	for _, seed := range []string{
		`{"requestId":"r","key":"KEY"}`, `{"reports":[{"requestId":"r","key":"KEY"},{"key":"KEY"},1,null]}`, `{"reports":[],"key":"KEY"}`,
		`{"KEY":1}`, `{"requestId":"KEY"}`, `{"reports":[{"KEY":{}}]}`, `{"reports":[{"requestId":"KEY"}]}`, `{"reports":[[[{}]]]}`, `{"error":"KEY"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		body = strings.ReplaceAll(body, "KEY", fixture.key)
		w := fixture.do("POST", "/v1/usage", body)
		if strings.Contains(w.Body.String(), fixture.key) {
			t.Fatalf("%q: the key is in the answer %s", body, w.Body)
		}
		var sent struct{ Reports []json.RawMessage }
		var got struct{ Results []json.RawMessage }
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatalf("%q: %d %s: %v", body, w.Code, w.Body, err)
		}
		if w.Code == http.StatusOK && (json.Unmarshal([]byte(body), &sent) != nil || len(sent.Reports) != len(got.Results)) {
			t.Fatalf("%q: %s", body, w.Body)
		}
	})
}
