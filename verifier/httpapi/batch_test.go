package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
)

type batchAnswer struct {
	RequestID string    `json:"requestId"`
	Responses []verdict `json:"responses"`
}

func TestABatchIsAnsweredInOrder(t *testing.T) {
	f := newFixture(t, limited("twice"))
	indextest.SetLimit(f.index, "twice", 2, time.Minute, 0)
	w := f.do("POST", "/v1/verify/batch", fmt.Sprintf(`{"requests": [
		{"key": %[1]q},
		{"key": %[1]q, "scopes": {"allOf": ["admin"]}},
		{"key": %[1]q, "scope": "misspelt"},
		"no question",
		{"key": %[1]q, "scopes": {"allOf": ["a b"]}},
		{"key": "noise", "explain": true},
		{},
		{"key": %[1]q, "cost": {"requests": 1}},
		{"key": %[1]q}
	]}`, f.key), "X-Request-Id: r-1")
	var got batchAnswer
	decoder := json.NewDecoder(w.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil || w.Code != http.StatusOK || got.RequestID != "r-1" {
		t.Fatalf("status %d, %v, %+v", w.Code, err, got)
	}
	var codes []string
	for i, v := range got.Responses {
		codes = append(codes, v.Code.String())
		if v.RequestID != fmt.Sprintf("r-1-%02d", i) || v.Valid != (v.Error == "") {
			t.Errorf("the answer is not whole: %+v", v)
		}
	}
	want := []string{"VALID", "SCOPE_INSUFFICIENT", "REQUEST_INVALID", "REQUEST_INVALID", "REQUEST_INVALID", "KEY_INVALID", "KEY_REQUIRED", "VALID", "RATE_LIMITED"}
	if !reflect.DeepEqual(codes, want) {
		t.Errorf("got %q, want %q", codes, want)
	}
	for i, text := range map[int]string{2: `Bad request: unknown field "scope"`, 3: "Bad request: each of requests must be a JSON object"} {
		if got.Responses[i].Error != text || got.Responses[i].Status != 400 {
			t.Errorf("got %q, want %q", got.Responses[i].Error, text)
		}
	}
	if len(got.Responses[5].Checks) == 0 || len(got.Responses[6].Checks) != 0 {
		t.Error("an explanation is not where it was asked for")
	}
}

func TestBatchesThatMakeNoSense(t *testing.T) {
	f := newFixture(t)
	tests := map[string]struct {
		body   string
		status int
		text   string
	}{
		"an empty body":           {"", 400, `the body is empty; send a JSON object such as {"key": "..."}`},
		"a list":                  {`[]`, 400, "the body must be a JSON object"},
		"an unknown field":        {`{"questions": []}`, 400, `unknown field "questions"`},
		"the field twice":         {`{"requests": [], "requests": []}`, 400, "requests is there twice"},
		"one question":            {`{"requests": {"key": "a"}}`, 400, "requests must be a list of questions"},
		"no field":                {`{}`, 400, "requests is missing; send a list of questions in it"},
		"null":                    {`{"requests": null}`, 400, "requests must be a list of questions"},
		"a tail":                  {`{"requests": []} {}`, 400, "something follows the JSON object"},
		"a mistake in the middle": {`{"requests": [{"key": "a"}, {"key" "b"}]}`, 400, "the body is not JSON: there is a mistake after byte 34"},
		"too many":                {`{"requests": [` + strings.Repeat(`{},`, 100) + `{}]}`, 400, "requests holds more than 100 questions; ask in several batches"},
		"too deep":                {`{"requests": [` + strings.Repeat(`[`, 1000) + strings.Repeat(`]`, 1000) + `]}`, 400, "the body is nested too deeply"},
		"too long":                {`{"requests": [` + strings.Repeat(` `, maxBatchBody) + `]}`, 413, "the body is longer than 262144 bytes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := f.do("POST", "/v1/verify/batch", test.body)
			if p := problemOf(t, w); w.Code != test.status || p.Error != "Bad request: "+test.text {
				t.Errorf("got %d %q, want %d %q", w.Code, p.Error, test.status, "Bad request: "+test.text)
			}
		})
	}
}

func TestAnEmptyBatchHasNoAnswers(t *testing.T) {
	f := newFixture(t)
	for _, body := range []string{`{"requests": []}`} {
		if w := f.do("POST", "/v1/verify/batch", body, "X-Request-Id: r"); w.Body.String() != `{"requestId":"r","responses":[]}` {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	if w := f.do("POST", "/v1/verify/batch", `{"requests": [`+strings.Repeat(`{},`, 99)+`{}]}`); w.Code != 200 || strings.Count(w.Body.String(), "KEY_REQUIRED") != 100 {
		t.Errorf("a hundred questions: %d %s", w.Code, w.Body)
	}
}
