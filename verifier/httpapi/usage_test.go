package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/verifier"
)

var idOfK = string(indextest.UID("key", "k"))

// result is what became of a report, as encoding/json reads it.
type result struct {
	RequestID string       `json:"requestId"`
	Status    int          `json:"status"`
	Again     *bool        `json:"again"`
	Limits    []limitState `json:"limits"`
	Error     string       `json:"error"`
	Code      string       `json:"code"`
}

type results struct {
	RequestID string   `json:"requestId"`
	Results   []result `json:"results"`
	Accepted  int      `json:"accepted"`
	Again     int      `json:"again"`
}

func read[T any](t *testing.T, w *httptest.ResponseRecorder) (read T) {
	t.Helper()
	decoder := json.NewDecoder(w.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&read); err != nil || w.Code != 200 {
		t.Fatalf("status %d, %v", w.Code, err)
	}
	return read
}

func TestAReportIsAnsweredWithHowTheLimitsStand(t *testing.T) {
	f := newFixture(t, limited("budget"))
	indextest.SetKeyLimit(f.index, "budget", indextest.Budget(1000, v1alpha1.ResetDaily))
	body := `{"requestId": "r-1", "keyId": "` + idOfK + `", "spendMicrocents": 300, "outcome": "failure", "error": "it broke", "labels": {"tier": "gold", "domain": "d"}, "latencyMs": 12}`
	for i, again := range []bool{false, true} {
		w := f.do("POST", "/v1/usage", body)
		want := fmt.Sprintf(`{"requestId":"r-1","status":200,"again":%t,"limits":[{"name":"budget","unit":"microcents","limit":1000,"remaining":700,"resetAt":"2026-03-02T00:00:00Z"}]}`, again)
		if w.Code != 200 || w.Body.String() != want {
			t.Errorf("sent %d times: got %d\n%s, want\n%s", i+1, w.Code, w.Body, want)
		}
	}
}

func TestTheRequestAfterTheOneThatCrossedTheBudgetIsRefused(t *testing.T) {
	f := newFixture(t, limited("budget"))
	indextest.SetKeyLimit(f.index, "budget", indextest.Budget(1000, v1alpha1.ResetDaily))
	verify := func() verdict {
		return read[verdict](t, f.do("POST", "/v1/verify", `{"key":"`+f.key+`"}`))
	}
	v := verify()
	f.do("POST", "/v1/usage", fmt.Sprintf(`{"requestId":%q,"keyId":%q,"spendMicrocents":5000}`, v.RequestID, v.Key.ID))
	if v := verify(); v.Code != verifier.CodeBudgetExhausted || v.Status != 429 || v.Limits[0].Remaining != 0 {
		t.Errorf("got %+v", v)
	}
}

func TestAReportReleasesTheSlotOfTheRequest(t *testing.T) {
	f := newFixture(t, limited("one"))
	indextest.SetKeyLimit(f.index, "one", indextest.Concurrency(1))
	ask := func(id string) int {
		return f.do("GET", "/v1/auth", "", "X-API-Key: "+f.key, "X-Request-Id: "+id).Code
	}
	if first, second := ask("r-1"), ask("r-2"); first != 200 || second != 429 {
		t.Fatalf("two at once were answered %d and %d", first, second)
	}
	f.do("POST", "/v1/usage", `{}`, "X-API-Key: "+f.key, "X-Request-Id: r-2")
	if got := ask("r-3"); got != 429 {
		t.Errorf("after a report of what never passed: %d", got)
	}
	f.do("POST", "/v1/usage", `{}`, "X-API-Key: "+f.key, "X-Request-Id: r-1")
	if got := ask("r-4"); got != 200 {
		t.Errorf("after the report: %d", got)
	}
}

// All questions of a batch have come with one ID.
func TestEachQuestionOfABatchIsReportedForItself(t *testing.T) {
	f := newFixture(t, limited("two"))
	indextest.SetKeyLimit(f.index, "two", indextest.Concurrency(2))
	question := `{"key":"` + f.key + `"}`
	ask := func() []verdict {
		return read[batchAnswer](t, f.do("POST", "/v1/verify/batch", `{"requests":[`+question+`,`+question+`]}`)).Responses
	}
	var reports []string
	for _, v := range ask() {
		reports = append(reports, fmt.Sprintf(`{"requestId":%q,"keyId":%q}`, v.RequestID, v.Key.ID))
	}
	if got := read[results](t, f.do("POST", "/v1/usage", `{"reports":[`+strings.Join(reports, ",")+`]}`)); got.Accepted != 2 {
		t.Errorf("got %+v", got)
	}
	for _, v := range ask() {
		if !v.Valid {
			t.Errorf("a slot is held: %+v", v)
		}
	}
}

func TestReportsOfAListAreAnsweredInOrder(t *testing.T) {
	f := newFixture(t, limited("budget"))
	indextest.SetKeyLimit(f.index, "budget", indextest.Budget(1000, v1alpha1.ResetDaily))
	w := f.do("POST", "/v1/usage", fmt.Sprintf(`{"reports": [
		{"requestId": "r-1", "key": %[1]q, "spendMicrocents": 100},
		{"requestId": "r-2", "keyId": %[2]q, "spendMicrocents": 200},
		{"requestId": "r-1", "keyId": %[2]q, "spendMicrocents": 400},
		{"requestId": "r-3", "key": "noise"},
		{"requestId": "r-4", "keyId": "00000000-0000-0000-0000-000000000001"},
		{"requestId": "r-5", "key": %[1]q, "spend": 1},
		"no report",
		{"key": %[1]q},
		{"requestId": "r-6"},
		{"requestId": "r-7", "key": %[1]q, "outcome": "fine"},
		{"requestId": "r-8", "key": %[1]q, "spendMicrocents": -1}
	]}`, f.key, idOfK), "X-Request-Id: call", "X-API-Key: "+f.key)
	got := read[results](t, w)
	if got.RequestID != "call" || got.Accepted != 2 || got.Again != 1 || len(got.Results) != 11 {
		t.Errorf("got %+v", got)
	}
	const unknown = "There is no such key. Report with the key, or the key ID, of the decision."
	for i, want := range []result{
		{RequestID: "r-1", Status: 200}, {RequestID: "r-2", Status: 200}, {RequestID: "r-1", Status: 200},
		{RequestID: "r-3", Status: 404, Code: "KEY_INVALID", Error: unknown},
		{RequestID: "r-4", Status: 404, Code: "KEY_INVALID", Error: unknown},
		{RequestID: "r-5", Status: 400, Code: "REQUEST_INVALID", Error: `Bad request: unknown field "spend"`},
		{Status: 400, Code: "REQUEST_INVALID", Error: "Bad request: each of reports must be a JSON object"},
		{Status: 400, Code: "REQUEST_INVALID", Error: "Bad request: requestId is missing; state that of the decision in each of the reports"},
		{RequestID: "r-6", Status: 400, Code: "REQUEST_INVALID", Error: "Bad request: state key or keyId, and not both"},
		{RequestID: "r-7", Status: 400, Code: "REQUEST_INVALID", Error: "Bad request: outcome must be success or failure; leave it out where it is not known"},
		{RequestID: "r-8", Status: 400, Code: "REQUEST_INVALID", Error: "Bad request: spendMicrocents must be from 0 to 250000000000000"},
	} {
		g := got.Results[i]
		if g.Status == 200 && (g.Again == nil || *g.Again != (i == 2) || len(g.Limits) != 1) {
			t.Errorf("%d: got %+v", i, g)
		}
		g.Again, g.Limits = nil, nil
		if !reflect.DeepEqual(g, want) {
			t.Errorf("%d: got %+v, want %+v", i, g, want)
		}
	}
	if left := got.Results[2].Limits[0].Remaining; left != 700 {
		t.Errorf("%d are left, want 700", left)
	}
}

func TestWhereAReportSaysWhatItIsOf(t *testing.T) {
	const missing = "Bad request: requestId is missing; state that of the decision, or send it as X-Request-Id"
	tests := map[string]struct {
		body    string
		headers []string
		status  int
		text    string
	}{
		"the body":                   {`{"requestId":"r","key":"%k"}`, nil, 200, ""},
		"headers":                    {`{}`, []string{"X-Request-Id: r", "Authorization: Bearer %k"}, 200, ""},
		"a key by null":              {`{"key":null,"keyId":null,"requestId":null}`, []string{"X-Request-Id: r", "X-API-Key: %k"}, 200, ""},
		"the body, before headers":   {`{"requestId":"r","keyId":"` + idOfK + `"}`, []string{"X-Request-Id: q", "Authorization: Bearer of.the.service"}, 200, ""},
		"an ID of no decision":       {`{"key":"%k"}`, []string{"X-Request-Id: with a space"}, 400, missing},
		"no ID":                      {`{"key":"%k"}`, nil, 400, missing},
		"no key":                     {`{"requestId":"r"}`, nil, 400, "Bad request: state key or keyId, and not both"},
		"the key and its ID":         {`{"requestId":"r","key":"%k","keyId":"` + idOfK + `"}`, nil, 400, "Bad request: state key or keyId, and not both"},
		"two keys in headers":        {`{"requestId":"r"}`, []string{"X-API-Key: %k, other"}, 400, "Bad request: two different keys were sent; send one"},
		"something else in a header": {`{"requestId":"r"}`, []string{"Authorization: Bearer of.the.service"}, 404, "There is no such key. Report with the key, or the key ID, of the decision."},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			w := f.do("POST", "/v1/usage", strings.ReplaceAll(test.body, "%k", f.key), withKey(test.headers, f.key)...)
			if w.Code != test.status {
				t.Fatalf("got %d %s", w.Code, w.Body)
			}
			if test.status == 200 {
				if got := read[result](t, w); got.RequestID != "r" || *got.Again {
					t.Errorf("got %+v", got)
				}
			} else if p := problemOf(t, w); p.Error != test.text {
				t.Errorf("got %q", p.Error)
			}
		})
	}
}

func TestReportsThatMakeNoSense(t *testing.T) {
	const noID = "requestId must be that of the decision; those have no more than 131 letters, digits, points, hyphens and underscores"
	f := newFixture(t)
	tests := map[string]struct {
		body   string
		status int
		text   string
	}{
		"a list":                      {`[]`, 400, "the body must be a JSON object"},
		"two objects":                 {`{} {}`, 400, "something follows the JSON object"},
		"an unknown field":            {`{"spend": 1}`, 400, `unknown field "spend"`},
		"an unknown label":            {`{"labels": {"team": "a"}}`, 400, `unknown field "labels.team"`},
		"a key as a field":            {`{"` + f.key + `": 1}`, 400, "unknown field of this name"},
		"a key as the ID":             {`{"requestId": "` + f.key + `"}`, 400, noID},
		"an ID that nobody gave":      {`{"requestId": "a b"}`, 400, noID},
		"an ID that is too long":      {`{"requestId": "` + strings.Repeat("a", 132) + `"}`, 400, noID},
		"a key as the key's ID":       {`{"keyId": "` + f.key + `"}`, 400, "keyId must be the key.id of the decision, a UUID in small letters"},
		"a field twice":               {`{"spendMicrocents": 1, "spendMicrocents": 1}`, 400, "spendMicrocents is there twice"},
		"half a microcent":            {`{"spendMicrocents": 0.5}`, 400, "spendMicrocents must be a whole number"},
		"more than there is":          {`{"requestId": "r", "keyId": "` + idOfK + `", "spendMicrocents": 250000000000001}`, 400, "spendMicrocents must be from 0 to 250000000000000"},
		"an outcome of its own":       {`{"requestId": "r", "keyId": "` + idOfK + `", "outcome": "ok"}`, 400, "outcome must be success or failure; leave it out where it is not known"},
		"a success that failed":       {`{"requestId": "r", "keyId": "` + idOfK + `", "outcome": "success", "error": "e"}`, 400, "error says why a request failed; state the outcome failure, or leave it out"},
		"an error as long as a novel": {`{"requestId": "r", "keyId": "` + idOfK + `", "outcome": "failure", "error": "` + strings.Repeat("e", 513) + `"}`, 400, "error is longer than 512 bytes"},
		"a latency before the start":  {`{"latencyMs": -1}`, 400, "latencyMs must be from 0 to 86400000"},
		"a latency beyond all":        {`{"latencyMs": 9223372036854775807}`, 400, "latencyMs must be from 0 to 86400000"},
		"a byte more than a TiB":      {`{"requestId": "r", "keyId": "` + idOfK + `", "bytes": 1099511627777}`, 400, "bytes must be from 0 to 1099511627776"},
		"bytes that are no int":       {`{"requestId": "r", "keyId": "` + idOfK + `", "bytes": 9223372036854775808}`, 400, "bytes must be a whole number"},
		"more than a float is exact":  {`{"requestId": "r", "keyId": "` + idOfK + `", "bytes": 9007199254740993}`, 400, "bytes must be from 0 to 1099511627776"},
		"a report and reports":        {`{"requestId": "r", "reports": []}`, 400, "beside reports stands another field; put it into each of the reports, or send one report"},
		"reports twice":               {`{"reports": [], "reports": []}`, 400, "reports is there twice"},
		"reports that are one":        {`{"reports": {}}`, 400, "reports must be a list of reports"},
		"reports that are nothing":    {`{"reports": null}`, 400, "reports must be a list of reports"},
		"reports within reports":      {`{"reports": [}`, 400, "the body is not JSON: there is a mistake after byte 13"},
		"too many":                    {`{"reports": [` + strings.Repeat("{},", 100) + `{}]}`, 400, "reports holds more than 100 reports; send them in several lists"},
		"too long":                    {`{"reports": [` + strings.Repeat(" ", maxBatchBody) + `]}`, 413, "the body is longer than 262144 bytes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := f.do("POST", "/v1/usage", test.body)
			if p := problemOf(t, w); w.Code != test.status || p.Code != "REQUEST_INVALID" || p.Error != "Bad request: "+test.text {
				t.Errorf("got %d %s\n%q, want\n%q", w.Code, p.Code, p.Error, test.text)
			}
		})
	}
	if got := read[results](t, f.do("POST", "/v1/usage", `{"reports":[{"reports":[]}]}`)); got.Results[0].Error != `Bad request: unknown field "reports"` {
		t.Errorf("reports within reports: %+v", got)
	}
}

func TestWhoeverTriesKeysByReportingThemIsToldToWait(t *testing.T) {
	f := newFixture(t)
	try := func(body string) *httptest.ResponseRecorder { return f.do("POST", "/v1/usage", body) }
	const noise = `{"requestId":"r","key":"noise"}`
	for range verifier.DefaultInvalidKeysPerMinute {
		if w := try(noise); w.Code != 404 {
			t.Fatalf("before it is too much: %d", w.Code)
		}
	}
	w := try(noise)
	if p := problemOf(t, w); w.Code != 429 || p.Code != "RATE_LIMITED" || w.Header().Get("Retry-After") != "1" {
		t.Errorf("got %d %s, Retry-After %q", w.Code, p.Code, w.Header().Get("Retry-After"))
	}
	if got := read[results](t, try(`{"reports":[`+noise+`]}`)).Results[0]; got.Status != 429 || got.Code != "RATE_LIMITED" {
		t.Errorf("in a list: %+v", got)
	}
	if w := f.do("GET", "/v1/auth", "", "X-API-Key: noise"); w.Code != 429 {
		t.Errorf("at another door: %d", w.Code)
	}
	if w := try(`{"requestId":"r","key":"` + f.key + `"}`); w.Code != 200 {
		t.Errorf("a report that is right: %d", w.Code)
	}
	if w := try(`{"requestId":"r","keyId":"00000000-0000-0000-0000-000000000001"}`); w.Code != 404 {
		t.Errorf("a key ID, which is no secret: %d", w.Code)
	}
}

// So that whoever reported sends it again.
func TestAReportThatCannotBeCountedNowIs503(t *testing.T) {
	got := refused(fmt.Errorf("%w: %w", verifier.ErrLimitsUnavailable, fmt.Errorf("a test")))
	if want := (reportResult{status: 503, code: policy.CodeLimitsUnavailable, text: "Limits cannot be checked right now. Please try again later."}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestOfAKeyThatIsRevokedIsReportedToo(t *testing.T) {
	f := newFixture(t, func(s *spec) { s.State = v1alpha1.KeyRevoked })
	if w := f.do("POST", "/v1/usage", `{"requestId":"r","key":"`+f.key+`"}`); w.Code != 200 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}
