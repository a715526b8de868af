package httpapi

import (
	"encoding/base64"
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

func FuzzKeyOf(f *testing.F) {
	for _, seed := range []string{"Bearer x", "bearer  x ", "Basic eDp5", "Basic =", "Digest a", "Bearer", "Bearer a, Bearer b", "\x00 \xff", "Basic Og=="} {
		f.Add("", seed)
		f.Add("ak_live_x", seed)
		f.Add("a, b", seed)
	}
	f.Fuzz(func(t *testing.T, apiKey, authorization string) {
		header := http.Header{"X-Api-Key": {apiKey}, "Authorization": {authorization}}
		key, err := keyOf(header)
		if err != nil {
			if key != "" {
				t.Fatal("an error comes with a key")
			}
			return
		}
		if key != strings.TrimSpace(key) && !strings.HasPrefix(strings.ToLower(authorization), "basic ") {
			t.Fatalf("the key %q has blanks around it", key)
		}
		// Saying the same twice changes nothing.
		twice, err := keyOf(http.Header{"X-Api-Key": {apiKey, apiKey}, "Authorization": {authorization, authorization}})
		if err != nil || twice != key {
			t.Fatalf("once it is %q, twice %q, %v", key, twice, err)
		}
		// Whatever is sent as a whole key in each of the forms comes out as it went in.
		for _, sent := range []string{
			"Bearer " + key, "Basic " + base64.StdEncoding.EncodeToString([]byte(key+":")),
			"Basic " + base64.StdEncoding.EncodeToString([]byte("me:"+key)), "Basic " + base64.StdEncoding.EncodeToString([]byte(key)),
		} {
			if !looksLikeKey(key) || strings.ContainsAny(key, ": ") || key != strings.TrimSpace(key) {
				break
			}
			if got, err := keyOf(http.Header{"Authorization": {sent}}); err != nil || got != key {
				t.Fatalf("%q sent as %q came out as %q, %v", key, sent, got, err)
			}
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
