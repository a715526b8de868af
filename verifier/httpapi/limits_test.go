package httpapi

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/verifier"
)

type limitSpec = v1alpha1.KeyLimitSpec

func rates(spans ...time.Duration) (s limitSpec) {
	for _, per := range spans {
		s.Rates = append(s.Rates, v1alpha1.Rate{Requests: 9, Per: metav1.Duration{Duration: per}})
	}
	return s
}

// everyKind is a limit of every kind.
func everyKind() limitSpec {
	s := rates(time.Minute)
	s.Quota = indextest.Quota(1000, v1alpha1.ResetMonthly).Quota
	s.Quota.SpendMicrocents = indextest.Budget(5000, v1alpha1.ResetMonthly).Quota.SpendMicrocents
	s.Concurrency = indextest.Concurrency(5).Concurrency
	return s
}

// named is a KeyLimit.
type named struct {
	name string
	spec limitSpec
}

// setLimits has limits hold for the fixture's key.
func (f *fixture) setLimits(limits ...named) {
	var names []string
	for _, l := range limits {
		names = append(names, l.name)
		indextest.SetKeyLimit(f.index, l.name, l.spec)
	}
	indextest.SetKey(f.index, "k", func(s *spec) {
		s.Scopes, s.LimitRefs = []v1alpha1.Scope{"read", "write"}, indextest.Refs(names...)
	})
}

func TestEachKindOfLimitIsToldWithItsUnit(t *testing.T) {
	f := newFixture(t)
	f.setLimits(named{"standard", everyKind()})
	ask := func(target string) string {
		return f.do("POST", target, `{"key":"`+f.key+`","cost":{"spendMicrocents":7}}`).Body.String()
	}
	want := `"limits":[` +
		`{"name":"standard-minute","unit":"requests","limit":9,"remaining":8,"resetAt":"2026-03-01T13:01:00Z"},` +
		`{"name":"standard-monthly-quota","unit":"requests","limit":1000,"remaining":999,"resetAt":"2026-04-01T00:00:00Z"},` +
		`{"name":"standard-monthly-budget","unit":"microcents","limit":5000,"remaining":4993,"resetAt":"2026-04-01T00:00:00Z"},` +
		`{"name":"standard-concurrency","unit":"concurrent-requests","limit":5,"remaining":4,"resetAt":"2026-03-01T13:01:00Z"}]`
	if got := ask("/v1/verify"); !strings.Contains(got, want) {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
	if got := f.do("GET", "/v1/scope", "", "X-API-Key: "+f.key).Body.String(); !strings.Contains(got, want) {
		t.Errorf("at /v1/scope:\n%s, want\n%s", got, want)
	}
}

func TestLimitsHaveNamesOfTheirOwn(t *testing.T) {
	const minute = time.Minute
	monthly := indextest.Quota(1000, v1alpha1.ResetMonthly)
	for name, test := range map[string]struct {
		limits []named
		want   string
	}{
		"one rule each":             {[]named{{"a", rates(minute)}, {"b", monthly}, {"c", indextest.Concurrency(9)}}, "a b c"},
		"one of every kind":         {[]named{{"a", everyKind()}}, "a-minute a-monthly-quota a-monthly-budget a-concurrency"},
		"several of a kind":         {[]named{{"two", rates(minute, 90*time.Second, minute)}, {"one", rates(minute)}}, "two-minute two-1m30s two-minute-2 one"},
		"called like a rule":        {[]named{{"a", rates(minute, time.Hour)}, {"a-minute", rates(minute)}}, "a-minute a-hour a-minute-minute"},
		"called like a second rule": {[]named{{"a", rates(minute, minute)}, {"a-minute-2", monthly}}, "a-minute a-minute-2 a-minute-2-monthly-quota"},
		"called like a quota":       {[]named{{"a", everyKind()}, {"a-monthly-quota", monthly}}, "a-minute a-monthly-quota a-monthly-budget a-concurrency a-monthly-quota-monthly-quota"},
		"called like two of them":   {[]named{{"a", rates(minute, minute)}, {"a-minute", rates(minute)}, {"a-minute-minute", rates(minute)}}, "a-minute a-minute-2 a-minute-minute a-minute-minute-minute"},
		"called nearly like a rule": {[]named{{"a", rates(minute, time.Hour)}, {"a-minutes", rates(minute)}, {"a-", rates(minute)}}, "a-minute a-hour a-minutes a-"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.setLimits(test.limits...)
			var names []string
			for _, l := range read[verdict](t, f.do("POST", "/v1/verify", `{"key": "`+f.key+`"}`)).Limits {
				names = append(names, l.Name)
			}
			if got := strings.Join(names, " "); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			slices.Sort(names)
			if len(slices.Compact(names)) != len(strings.Fields(test.want)) {
				t.Errorf("two have the same name: %s", test.want)
			}
		})
	}
}

// nobodyThere is a server of shared limits that is away, and requests are refused then.
var nobodyThere = &verifier.SharedLimits{URL: "redis://127.0.0.1:1", Outage: "closed"}

func strictly(s limitSpec) limitSpec {
	s.Consistency = v1alpha1.ConsistencyStrict
	return s
}

func TestWhatALimitRefusesIsToldAtEveryDoor(t *testing.T) {
	for name, test := range map[string]struct {
		spec   limitSpec
		shared *verifier.SharedLimits
		status int
		text   string
		policy string // empty: no limit is told
		state  string
		retry  string
	}{
		"RATE_LIMITED": {spec: limitSpec{Rates: []v1alpha1.Rate{{Requests: 1, Per: metav1.Duration{Duration: time.Minute}}}}, status: 429,
			text: "Rate limit exceeded. Please try again later.", policy: `"minute";q=1;w=60`, state: `"minute";r=0;t=60`, retry: "60"},
		"QUOTA_EXHAUSTED": {spec: indextest.Quota(1, v1alpha1.ResetDaily), status: 429,
			text: "Request quota is used up. Please try again when it resets.", policy: `"daily-quota";q=1;w=86400`, state: `"daily-quota";r=0;t=39600`, retry: "39600"},
		"BUDGET_EXHAUSTED": {spec: indextest.Budget(1, v1alpha1.ResetMonthly), status: 429,
			text: "Budget is used up. Please try again when it resets.", policy: `"monthly-budget";q=1;qu="microcents";w=2678400`, state: `"monthly-budget";r=0;t=2631600`, retry: "2631600"},
		"CONCURRENCY_EXCEEDED": {spec: indextest.Concurrency(1), status: 429,
			text: "Too many requests at once. Please try again later.", policy: `"concurrency";q=1;qu="concurrent-requests"`, state: `"concurrency";r=0;t=60`, retry: "1"},
		"LIMITS_UNAVAILABLE": {spec: strictly(indextest.Quota(1, v1alpha1.ResetDaily)), shared: nobodyThere, status: 503,
			text: "Limits cannot be checked right now. Please try again later.", retry: "1"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixtureWith(t, test.shared)
			f.setLimits(named{"one", test.spec})
			first := f.do("POST", "/v1/verify", `{"key":"`+f.key+`","cost":{"spendMicrocents":1}}`, "X-Request-Id: first")
			if valid := strings.Contains(first.Body.String(), `"VALID"`); valid != (test.status == 429) {
				t.Fatalf("the first request: %s", first.Body)
			}
			w := f.do("POST", "/v1/verify", `{"key":"`+f.key+`","explain":true}`)
			v := read[verdict](t, w)
			if v.Valid || v.Code.String() != name || v.Status != test.status || v.Error != test.text || v.Key == nil || (len(v.Limits) == 1) != (test.status == 429) {
				t.Errorf("/v1/verify: %+v", v)
			}
			if last := v.Checks[len(v.Checks)-1]; last.Name != "limits" || last.Outcome != "failed" || last.Code != name || !last.Decided {
				t.Errorf("/v1/verify explains %+v", v.Checks)
			}
			for path, sent := range map[string]int{"/v1/auth": test.status, "/v1/auth/nginx": 403} {
				w := f.do("GET", path, "", "X-API-Key: "+f.key)
				h := w.Header()
				body := w.Body.String()
				if p := problemOf(t, w); w.Code != sent || p.Code != name || p.Error != test.text {
					t.Errorf("%s: %d %s", path, w.Code, body)
				}
				if h.Get("RateLimit-Policy") != test.policy || h.Get("RateLimit") != test.state || h.Get("Retry-After") != test.retry || h.Get("WWW-Authenticate") != "" {
					t.Errorf("%s: %v", path, h)
				}
				if path == "/v1/auth/nginx" && (h.Get(headerStatus) != strconv.Itoa(test.status) || h.Get(headerCode) != name || h.Get(headerBody) != body) {
					t.Errorf("nginx is told %v", h)
				}
			}
		})
	}
}

func TestTheMiddlewareRefusesWhatLimitsRefuse(t *testing.T) {
	f := newFixtureWith(t, nobodyThere)
	f.setLimits(named{"one", strictly(indextest.Concurrency(1))})
	f.Handler = Middleware(f.Handler.(*handler).verifier, MiddlewareOptions{})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was passed on") }))
	w := f.do("GET", "/", "", "X-API-Key: "+f.key)
	if p := problemOf(t, w); w.Code != 503 || p.Code != "LIMITS_UNAVAILABLE" || w.Header().Get("Retry-After") != "1" {
		t.Errorf("got %d %+v, Retry-After %q", w.Code, p, w.Header().Get("Retry-After"))
	}
}

// A list of limits that is longer than most is told as well.
func TestMoreLimitsThanMostKeysHaveAreTold(t *testing.T) {
	f := newFixture(t)
	var limits []named
	for i := range 8 {
		limits = append(limits, named{fmt.Sprintf("l-%d", i), everyKind()})
	}
	f.setLimits(limits...)
	if v := read[verdict](t, f.do("POST", "/v1/verify", `{"key":"`+f.key+`"}`)); len(v.Limits) != 32 || v.Limits[31].Name != "l-7-concurrency" {
		t.Errorf("got %+v", v.Limits)
	}
}
