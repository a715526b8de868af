package usage

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	testclock "k8s.io/utils/clock/testing"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// notices are Events.
type notices []string

func (n *notices) Eventf(_, related runtime.Object, kind, reason, _, note string, args ...any) {
	*n = append(*n, fmt.Sprintf("%s %s %s: %s", kind, reason, related.(*v1alpha1.KeyLimit).Name, fmt.Sprintf(note, args...)))
}

var (
	tonight   = time.Date(2026, time.November, 22, 0, 0, 0, 0, time.UTC)
	nextMonth = time.Date(2026, time.December, 1, 0, 0, 0, 0, time.UTC)
)

func usedUp(limit, code string, resetAt time.Time) *usagefeed.Exhausted {
	return &usagefeed.Exhausted{Limit: limit, Code: code, ResetAt: resetAt}
}

// clusterWithLimits has one ApiKey and the KeyLimits daily and monthly, whose UIDs are like their names.
func clusterWithLimits(t *testing.T, shown *v1alpha1.ExhaustedLimit) *cluster {
	t.Helper()
	c := newCluster(t, nil, map[string]int{"good": 1})
	for _, name := range []string{"daily", "monthly"} {
		limit := &v1alpha1.KeyLimit{ObjectMeta: metav1.ObjectMeta{Namespace: "good", Name: name, UID: types.UID(name)}}
		if err := c.Create(t.Context(), limit); err != nil {
			t.Fatal(err)
		}
	}
	if shown == nil {
		return c
	}
	apiKey, err := statuses{client: c}.apiKey(t.Context(), "good-0")
	if err != nil {
		t.Fatal(err)
	}
	apiKey.Status.Usage = &v1alpha1.KeyUsage{Exhausted: shown}
	if err := c.Update(t.Context(), apiKey); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestThatAKeyRanOutIsAnnouncedOnceForEachLimitAndPeriod(t *testing.T) {
	shown := func(limit string, at time.Time) *v1alpha1.ExhaustedLimit {
		return &v1alpha1.ExhaustedLimit{Limit: limit, Reason: v1alpha1.ReasonQuotaExhausted, ResetAt: metav1.NewTime(at)}
	}
	daily := usedUp("daily", "QUOTA_EXHAUSTED", tonight)
	tests := map[string]struct {
		shown *v1alpha1.ExhaustedLimit
		told  []*usagefeed.Exhausted
		want  []string
	}{
		"for the first time":              {nil, []*usagefeed.Exhausted{daily}, []string{"daily"}},
		"and goes on to be refused":       {nil, []*usagefeed.Exhausted{daily, daily}, []string{"daily"}},
		"as the status shows":             {shown("daily", tonight), []*usagefeed.Exhausted{daily}, nil},
		"of the next period":              {shown("daily", tonight.AddDate(0, 0, -1)), []*usagefeed.Exhausted{daily}, []string{"daily"}},
		"of another limit":                {shown("monthly", nextMonth), []*usagefeed.Exhausted{daily}, []string{"daily"}},
		"and was raised, and again":       {nil, []*usagefeed.Exhausted{daily, nil, daily}, []string{"daily"}},
		"of two limits in turn":           {nil, []*usagefeed.Exhausted{daily, usedUp("monthly", "BUDGET_EXHAUSTED", nextMonth)}, []string{"daily", "monthly"}},
		"by clocks that differ":           {shown("daily", tonight), []*usagefeed.Exhausted{usedUp("daily", "QUOTA_EXHAUSTED", tonight.Add(-900*time.Millisecond))}, nil},
		"of a limit that is gone":         {nil, []*usagefeed.Exhausted{usedUp("deleted", "QUOTA_EXHAUSTED", tonight)}, nil},
		"of what only later verifiers do": {nil, []*usagefeed.Exhausted{usedUp("daily", "PATIENCE_EXHAUSTED", tonight)}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			clock, events := testclock.NewFakeClock(start), &notices{}
			w := newWriteBack(clusterWithLimits(t, test.shown), clock, unlimited)
			w.events = events
			for i, told := range test.told {
				w.observe(context.Background(), ofKey{usagefeed.Key{ID: "good-0", LastUsedAt: start.Add(time.Duration(i) * time.Second), Exhausted: told}})
				w.pass(0)
				clock.Step(2 * writeEvery)
			}
			if len(*events) != len(test.want) {
				t.Fatalf("announced %q, want one each of %v", *events, test.want)
			}
			for i, limit := range test.want {
				if !strings.Contains((*events)[i], fmt.Sprintf("%s: The ", limit)) {
					t.Errorf("announced %q, want one of %s", (*events)[i], limit)
				}
			}
		})
	}
}

func TestAnAnnouncementSaysWhatToDo(t *testing.T) {
	for code, want := range map[string]string{
		"QUOTA_EXHAUSTED": `Warning QuotaExhausted monthly: The quota of KeyLimit "monthly" is used up: requests with this key are refused until 2026-12-01T00:00:00Z. ` +
			`To let them pass before, raise spec.quota.requests of the KeyLimit`,
		"BUDGET_EXHAUSTED": `Warning BudgetExhausted monthly: The budget of KeyLimit "monthly" is used up: requests with this key are refused until 2026-12-01T00:00:00Z. ` +
			`To let them pass before, raise spec.quota.spendMicrocents of the KeyLimit`,
	} {
		events := &notices{}
		w := newWriteBack(clusterWithLimits(t, nil), testclock.NewFakeClock(start), unlimited)
		w.events = events
		w.observe(context.Background(), ofKey{usagefeed.Key{ID: "good-0", Exhausted: usedUp("monthly", code, nextMonth)}})
		w.pass(0)
		if len(*events) != 1 || (*events)[0] != want {
			t.Errorf("announced %q\nwant %q", *events, want)
		}
	}
}

func TestAnnouncementsOfPeriodsThatAreOverAreForgotten(t *testing.T) {
	a := announced{
		"over":  {Limit: "daily", ResetAt: metav1.NewTime(start)},
		"lasts": {Limit: "daily", ResetAt: metav1.NewTime(tonight)},
	}
	if a.forget(start); len(a) != 1 || a["lasts"].Limit == "" {
		t.Errorf("remembered: %v", a)
	}
}
