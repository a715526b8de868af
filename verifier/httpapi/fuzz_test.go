package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/claviger-dev/claviger/internal/scope"
)

// plainQuestion is how encoding/json would read a question: the reference for the decoder.
type plainQuestion struct {
	Key    string `json:"key"`
	Scopes struct {
		AllOf []string `json:"allOf"`
		AnyOf []string `json:"anyOf"`
	} `json:"scopes"`
	Workspace string `json:"workspace"`
	ClientIP  string `json:"clientIP"`
}

func FuzzDecodeQuestion(f *testing.F) {
	for _, seed := range []string{
		`{"key":"a","scopes":{"allOf":["a"],"anyOf":["b"]},"workspace":"w","clientIP":"::1"}`,
		`{}`, `{"key":null}`, `{"scopes":null}`, `{"scopes":{}}`, `{"key":"\u0000"}`, `{"key":"a",}`, `{"key" "a"}`, `{,}`,
		`{"scopes":{"allOf":[,]}}`, `[1,]`, `{"key":"a"}{}`, "\xef\xbb\xbf{}", `{"a":{"b":1}}`, `{"key":"a","key":"b"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		request, err := decodeQuestion(strings.NewReader(string(body)))
		if err != nil {
			if i := (*invalid)(nil); !errors.As(err, &i) || i.status != http.StatusBadRequest || !utf8.ValidString(i.text) {
				t.Fatalf("the error is not for the client: %v", err)
			}
			return
		}
		// What is accepted is JSON, and means to us what it means to everybody.
		var want plainQuestion
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("accepted, but %v", err)
		}
		if request.Key != want.Key || request.Workspace != want.Workspace || request.ClientIP.IsValid() != (want.ClientIP != "") ||
			!reflect.DeepEqual(request.Scopes.AllOf, want.Scopes.AllOf) || !reflect.DeepEqual(request.Scopes.AnyOf, want.Scopes.AnyOf) {
			t.Fatalf("read as %+v, want %+v", request, want)
		}
	})
}

func FuzzScopeQuery(f *testing.F) {
	for _, seed := range []string{"", "scope=a", "scope=a&scope=b:c", "scopes=a", "scope=a;scope=b", "scope=%", "scope", "=a", "scope=a%26scope=b", "scope=a b", "&&"} {
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

		// The key has the scopes read and write. It must pass only if the query asks for
		// nothing else, however that is written.
		for pair := range strings.SplitSeq(query, "&") {
			if pair == "" {
				continue
			}
			name, value, _ := strings.Cut(pair, "=")
			name, nameErr := url.QueryUnescape(name)
			value, valueErr := url.QueryUnescape(value)
			granted := nameErr == nil && valueErr == nil && name == "scope" && (value == "read" || value == "write")
			if !granted && w.Code == http.StatusOK {
				t.Fatalf("%q passed with %q", query, pair)
			}
			if value != "" && scope.Validate(value) != nil && w.Header().Get("WWW-Authenticate") != badRequest {
				t.Fatalf("for a malformed scope the challenge is %q", w.Header().Get("WWW-Authenticate"))
			}
		}
	})
}
