package fields

import (
	"testing"
	"time"
	_ "time/tzdata" // the machine that tests may have no zones

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/verifier"
)

func TestSpansAreNamedAsPeopleCallThem(t *testing.T) {
	for per, want := range map[time.Duration]string{
		time.Second: "second", time.Minute: "minute", time.Hour: "hour", 24 * time.Hour: "day", 7 * 24 * time.Hour: "week",
		48 * time.Hour: "48h", 90 * time.Minute: "90m", 90 * time.Second: "1m30s", 30 * time.Second: "30s", time.Millisecond: "1ms",
	} {
		if got := string(AppendSpan(nil, per)); got != want {
			t.Errorf("%d is called %q, want %q", per, got, want)
		}
	}
}

// A Sunday in March, in which Berlin's clocks are set forward.
var now = indextest.IssuedAt.Add(time.Hour)

type spec = v1alpha1.KeyLimitSpec

func rates(spans ...time.Duration) (s spec) {
	for _, per := range spans {
		s.Rates = append(s.Rates, v1alpha1.Rate{Requests: 100, Per: metav1.Duration{Duration: per}})
	}
	return s
}

// all is a limit of every kind.
func all() spec {
	s := rates(time.Minute, 24*time.Hour)
	s.Quota = indextest.Quota(1000, v1alpha1.ResetMonthly).Quota
	s.Quota.SpendMicrocents = indextest.Budget(5_000_000, v1alpha1.ResetMonthly).Quota.SpendMicrocents
	s.Concurrency = indextest.Concurrency(5).Concurrency
	return s
}

func inBerlin(s spec) spec {
	s.Quota.TimeZone = "Europe/Berlin"
	return s
}

// decide asks about a key that limits hold for, which are called a, b and so on.
func decide(t *testing.T, limits []spec, requests int) (d verifier.Decision) {
	t.Helper()
	index := indextest.New()
	var names []string
	for i, limit := range limits {
		names = append(names, string(rune('a'+i)))
		indextest.SetKeyLimit(index, names[i], limit)
	}
	key := indextest.Issue(t, index, "k", func(s *v1alpha1.ApiKeySpec) { s.LimitRefs = indextest.Refs(names...) })
	v, err := verifier.New(verifier.Options{Index: index, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for range requests {
		d = v.Verify(t.Context(), verifier.Request{ID: "r", Key: key, Cost: verifier.Cost{SpendMicrocents: 10}})
	}
	return d
}

func TestEachKindOfLimitIsToldInItsOwnUnit(t *testing.T) {
	const day, week = 24 * time.Hour, 7 * 24 * time.Hour
	for name, test := range map[string]struct {
		limits        []spec
		policy, state string
	}{
		"a span":           {[]spec{rates(time.Minute)}, `"minute";q=100;w=60`, `"minute";r=99;t=60`},
		"a quota of a day": {[]spec{indextest.Quota(1000, v1alpha1.ResetDaily)}, `"daily-quota";q=1000;w=86400`, `"daily-quota";r=999;t=39600`},
		"of a week":        {[]spec{indextest.Quota(1000, v1alpha1.ResetWeekly)}, `"weekly-quota";q=1000;w=604800`, `"weekly-quota";r=999;t=39600`},
		"of a month":       {[]spec{indextest.Quota(1000, v1alpha1.ResetMonthly)}, `"monthly-quota";q=1000;w=2678400`, `"monthly-quota";r=999;t=2631600`},
		"of a month that is an hour short": {[]spec{inBerlin(indextest.Quota(1000, v1alpha1.ResetMonthly))},
			`"monthly-quota";q=1000;w=2674800`, `"monthly-quota";r=999;t=2624400`},
		"a budget":    {[]spec{indextest.Budget(1000, v1alpha1.ResetDaily)}, `"daily-budget";q=1000;qu="microcents";w=86400`, `"daily-budget";r=990;t=39600`},
		"concurrency": {[]spec{indextest.Concurrency(5)}, `"concurrency";q=5;qu="concurrent-requests"`, `"concurrency";r=4;t=60`},
		"one of every kind": {[]spec{all()},
			`"minute";q=100;w=60, "day";q=100;w=86400, "monthly-quota";q=1000;w=2678400, "monthly-budget";q=5000000;qu="microcents";w=2678400, "concurrency";q=5;qu="concurrent-requests"`,
			`"minute";r=99;t=60, "day";r=99;t=86400, "monthly-quota";r=999;t=2631600, "monthly-budget";r=4999990;t=2631600, "concurrency";r=4;t=60`},
		"two of every kind": {[]spec{all(), all()},
			`"a-minute";q=100;w=60, "a-day";q=100;w=86400, "a-monthly-quota";q=1000;w=2678400, "a-monthly-budget";q=5000000;qu="microcents";w=2678400, "a-concurrency";q=5;qu="concurrent-requests", ` +
				`"b-minute";q=100;w=60, "b-day";q=100;w=86400, "b-monthly-quota";q=1000;w=2678400, "b-monthly-budget";q=5000000;qu="microcents";w=2678400, "b-concurrency";q=5;qu="concurrent-requests"`,
			`"a-minute";r=99;t=60, "a-day";r=99;t=86400, "a-monthly-quota";r=999;t=2631600, "a-monthly-budget";r=4999990;t=2631600, "a-concurrency";r=4;t=60, ` +
				`"b-minute";r=99;t=60, "b-day";r=99;t=86400, "b-monthly-quota";r=999;t=2631600, "b-monthly-budget";r=4999990;t=2631600, "b-concurrency";r=4;t=60`},
		"one rate twice, and another's": {[]spec{rates(time.Minute, time.Minute), rates(time.Minute)},
			`"a-minute";q=100;w=60, "a-minute-2";q=100;w=60, "b-minute";q=100;w=60`, `"a-minute";r=99;t=60, "a-minute-2";r=99;t=60, "b-minute";r=99;t=60`},
		"the same month in two zones": {[]spec{indextest.Quota(1000, v1alpha1.ResetMonthly), inBerlin(indextest.Quota(1000, v1alpha1.ResetMonthly))},
			`"a-monthly-quota";q=1000;w=2678400, "b-monthly-quota";q=1000;w=2674800`, `"a-monthly-quota";r=999;t=2631600, "b-monthly-quota";r=999;t=2624400`},
		"a day as a rate and as a quota": {[]spec{rates(day, week), indextest.Quota(9, v1alpha1.ResetDaily), indextest.Quota(9, v1alpha1.ResetWeekly)},
			`"day";q=100;w=86400, "week";q=100;w=604800, "daily-quota";q=9;w=86400, "weekly-quota";q=9;w=604800`,
			`"day";r=99;t=86400, "week";r=99;t=604800, "daily-quota";r=8;t=39600, "weekly-quota";r=8;t=39600`},
		"one in shadow": {[]spec{indextest.Shadow(all()), indextest.Quota(9, v1alpha1.ResetDaily)}, `"daily-quota";q=9;w=86400`, `"daily-quota";r=8;t=39600`},
		"none":          {nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := decide(t, test.limits, 1)
			if got := string(AppendRateLimitPolicy(nil, &d)); got != test.policy {
				t.Errorf("the policy is\n%s, want\n%s", got, test.policy)
			}
			if got := string(AppendRateLimit(nil, &d)); got != test.state {
				t.Errorf("the state is\n%s, want\n%s", got, test.state)
			}
			if got := string(AppendRetryAfter(nil, &d)); got != "" {
				t.Errorf("Retry-After is %s", got)
			}
		})
	}
}

func TestWhoIsRefusedIsToldHowLongToWait(t *testing.T) {
	for name, test := range map[string]struct {
		limits []spec
		code   verifier.Code
		state  string
		retry  string
	}{
		"by a rate":           {[]spec{{Rates: []v1alpha1.Rate{{Requests: 1, Per: metav1.Duration{Duration: time.Minute}}}}}, verifier.CodeRateLimited, `"minute";r=0;t=60`, "60"},
		"by a quota":          {[]spec{indextest.Quota(1, v1alpha1.ResetDaily)}, verifier.CodeQuotaExhausted, `"daily-quota";r=0;t=39600`, "39600"},
		"by a budget":         {[]spec{indextest.Budget(10, v1alpha1.ResetMonthly)}, verifier.CodeBudgetExhausted, `"monthly-budget";r=0;t=2631600`, "2631600"},
		"by others under way": {[]spec{indextest.Concurrency(1)}, verifier.CodeConcurrencyExceeded, `"concurrency";r=0;t=60`, "1"},
		"by two, for as long as the slower": {[]spec{indextest.Concurrency(1), indextest.Quota(1, v1alpha1.ResetDaily)}, verifier.CodeQuotaExhausted,
			`"concurrency";r=0;t=60, "daily-quota";r=0;t=39600`, "39600"},
	} {
		t.Run(name, func(t *testing.T) {
			d := decide(t, test.limits, 2)
			if d.Code != test.code || d.Status != 429 {
				t.Errorf("got %s %d, want %s", d.Code, d.Status, test.code)
			}
			if got := string(AppendRateLimit(nil, &d)); got != test.state {
				t.Errorf("the state is\n%s, want\n%s", got, test.state)
			}
			if got := string(AppendRetryAfter(nil, &d)); got != test.retry {
				t.Errorf("Retry-After is %s, want %s", got, test.retry)
			}
		})
	}
	d := verifier.Decision{Code: verifier.CodeLimitsUnavailable, Status: 503, RetryAfter: time.Second}
	if got := string(AppendRetryAfter(nil, &d)); got != "1" {
		t.Errorf("while limits cannot be checked Retry-After is %s", got)
	}
}
