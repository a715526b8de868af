package httpapi

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
)

func TestVerifyAnswersInFull(t *testing.T) {
	end := metav1.NewTime(now.Add(time.Hour))
	f := newFixture(t, func(s *spec) {
		s.DisplayName = "The key"
		s.ServiceAccountRef = &v1alpha1.LocalReference{Name: "robot"}
		s.Metadata = map[string]v1alpha1.MetadataValue{"team": "blue"}
		s.ExpiresAt = &end
		s.LimitRefs = indextest.Refs("standard")
	})
	indextest.SetAccount(f.index, "robot")
	indextest.SetLimit(f.index, "standard", 100, time.Minute, 0)
	w := f.do("POST", "/v1/verify", fmt.Sprintf(`{"key": %q, "scopes": {"allOf": ["read"], "anyOf": ["admin", "write"]}, "workspace": "tenant/shop", "clientIP": "192.0.2.1"}`, f.key), "X-Request-Id: r-1")
	want := `{"valid":true,"code":"VALID","status":200,"requestId":"r-1",` +
		`"key":{"id":"` + string(indextest.UID("key", "k")) + `","name":"k","namespace":"tenant","workspace":"tenant/shop","environment":"live","displayName":"The key","scopes":["read","write"],"serviceAccount":"robot","metadata":{"team":"blue"},"expiresAt":"2026-03-01T14:00:00Z"},` +
		`"limits":[{"name":"standard","unit":"requests","limit":100,"remaining":99,"resetAt":"2026-03-01T13:01:00Z"}]}`
	if w.Code != 200 || w.Body.String() != want {
		t.Errorf("got %d\n%s, want\n%s", w.Code, w.Body, want)
	}
	if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("X-Request-Id") != "r-1" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", w.Header())
	}
}

func TestVerifyTellsWhyNot(t *testing.T) {
	f := newFixture(t, limited("once"))
	indextest.SetLimit(f.index, "once", 1, time.Minute, 0)
	unknown := stranger(t)
	tests := []struct {
		name, body string
		code       string
		status     int
		text       string
		identified bool
	}{
		{"no key", `{}`, "KEY_REQUIRED", 401, "API key is required", false},
		{"a null key", `{"key": null}`, "KEY_REQUIRED", 401, "API key is required", false},
		{"an unknown key", `{"key": "` + unknown + `"}`, "KEY_INVALID", 401, "Invalid API key", false},
		{"noise", `{"key": "noise"}`, "KEY_INVALID", 401, "Invalid API key", false},
		{"another workspace", `{"key": "` + f.key + `", "workspace": "tenant/other"}`, "WORKSPACE_MISMATCH", 401, "Invalid API key", false},
		{"a missing scope", `{"key": "` + f.key + `", "scopes": {"allOf": ["admin"]}}`, "SCOPE_INSUFFICIENT", 403, "API key does not have the required scope", true},
		{"the request within the limit", `{"key": "` + f.key + `", "scopes": null}`, "VALID", 200, "", true},
		{"the request over the limit", `{"key": "` + f.key + `"}`, "RATE_LIMITED", 429, "Rate limit exceeded. Please try again later.", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := f.do("POST", "/v1/verify", test.body)
			var v verdict
			if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != 200 {
				t.Fatalf("status %d, %v: %s", w.Code, err, w.Body)
			}
			if v.Valid != (test.code == "VALID") || v.Code.String() != test.code || v.Status != test.status || v.Error != test.text {
				t.Errorf("got %+v, want %s %d %q", v, test.code, test.status, test.text)
			}
			if (v.Key != nil) != test.identified {
				t.Errorf("the key is %+v, want identified: %t", v.Key, test.identified)
			}
			if v.RequestID == "" || v.RequestID != w.Header().Get("X-Request-Id") {
				t.Errorf("requestId %q, X-Request-Id %q", v.RequestID, w.Header().Get("X-Request-Id"))
			}
			if strings.Contains(w.Body.String(), f.key) {
				t.Error("the answer repeats the key")
			}
		})
	}
}

func TestTheKeyIsOnlyInTheBody(t *testing.T) {
	f := newFixture(t)
	w := f.do("POST", "/v1/verify", `{}`, "X-API-Key: "+f.key)
	if !strings.Contains(w.Body.String(), `"KEY_REQUIRED"`) {
		t.Errorf("got %s", w.Body)
	}
}

func TestQuestionsThatMakeNoSense(t *testing.T) {
	f := newFixture(t)
	tests := map[string]struct {
		body   string
		status int
		text   string
	}{
		"an empty body":            {"", 400, `the body is empty; send a JSON object such as {"key": "..."}`},
		"blanks":                   {" \n\t ", 400, `the body is empty; send a JSON object such as {"key": "..."}`},
		"no JSON":                  {"key=value", 400, "the body is not JSON: there is a mistake after byte 0"},
		"JSON cut short":           {`{"key": "a"`, 400, "the body is not JSON: there is a mistake after byte 11"},
		"JSON cut within a string": {`{"key": "a`, 400, "the body is not JSON: there is a mistake after byte 7"},
		"a list":                   {`["a"]`, 400, "the body must be a JSON object"},
		"a string":                 {`"a"`, 400, "the body must be a JSON object"},
		"null":                     {`null`, 400, "the body must be a JSON object"},
		"two objects":              {`{"key": "a"} {"key": "b"}`, 400, "something follows the JSON object"},
		"trailing garbage":         {`{"key": "a"}]`, 400, "something follows the JSON object"},
		"a key that is a number":   {`{"key": 1}`, 400, "key must be a string"},
		"a key that is an object":  {`{"key": {"a": [1]}}`, 400, "key must be a string"},
		"scopes that are a list":   {`{"scopes": ["read"]}`, 400, "scopes must be a JSON object"},
		"scopes as one string":     {`{"scopes": {"allOf": "read"}}`, 400, "scopes.allOf must be a list of strings"},
		"a scope that is a number": {`{"scopes": {"anyOf": [1]}}`, 400, "scopes.anyOf must be a list of strings"},
		"an unknown field":         {`{"scope": ["admin"]}`, 400, `unknown field "scope"`},
		"a field of later":         {`{"key": "a", "region": "r"}`, 400, `unknown field "region"`},
		"an unknown cost":          {`{"cost": {"tokens": 1}}`, 400, `unknown field "cost.tokens"`},
		"an unknown label":         {`{"labels": {"team": "a"}}`, 400, `unknown field "labels.team"`},
		"a cost of half a request": {`{"cost": {"requests": 0.5}}`, 400, "cost.requests must be a whole number"},
		"a cost beyond all":        {`{"cost": {"spendMicrocents": 9223372036854775808}}`, 400, "cost.spendMicrocents must be a whole number"},
		"a negative cost":          {`{"key": "a", "cost": {"requests": -1}}`, 400, "cost.requests must be from 1 to 10000000"},
		"an explanation, perhaps":  {`{"explain": "yes"}`, 400, "explain must be true or false"},
		"a field in capitals":      {`{"Key": "a"}`, 400, `unknown field "Key"`},
		"an unknown inner field":   {`{"scopes": {"all_of": ["admin"]}}`, 400, `unknown field "scopes.all_of"`},
		"a key as a field":         {`{"` + f.key + `": "a"}`, 400, `unknown field of this name`},
		"a field twice":            {`{"scopes": {"allOf": ["admin"]}, "scopes": {}}`, 400, "scopes is there twice"},
		"an inner field twice":     {`{"scopes": {"allOf": ["admin"], "allOf": []}}`, 400, "scopes.allOf is there twice"},
		"an address that is none":  {`{"clientIP": "localhost"}`, 400, "clientIP must be an IP address"},
		"a malformed scope":        {`{"key": "a", "scopes": {"allOf": ["a b"]}}`, 400, "scope 1 of those required (allOf) is malformed: between the dots come words of letters, digits, _ and -, or * or **"},
		"a null scope":             {`{"key": "a", "scopes": {"allOf": [null]}}`, 400, "scope 1 of those required (allOf) is malformed: a scope must not be empty"},
		"too long a body":          {`{"key": "` + strings.Repeat("a", maxBody) + `"}`, 413, "the body is longer than 65536 bytes"},
		"too long a tail":          {`{"key": "a"}` + strings.Repeat(" ", maxBody), 413, "the body is longer than 65536 bytes"},
		"nesting without end":      {`{"key": ` + strings.Repeat("[", 30_000), 400, "key must be a string"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := f.do("POST", "/v1/verify", test.body)
			p := problemOf(t, w)
			if w.Code != test.status || p.Code != "REQUEST_INVALID" || p.Error != "Bad request: "+test.text {
				t.Errorf("got %d %s\n%q, want %d\n%q", w.Code, p.Code, p.Error, test.status, "Bad request: "+test.text)
			}
			if strings.Contains(p.Error, f.key) {
				t.Error("the answer repeats the key")
			}
		})
	}
}
