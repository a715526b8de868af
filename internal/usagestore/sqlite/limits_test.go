package sqlite

import (
	"context"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// refused is a request that a limit refused.
func refused(key, limit string, at, until time.Time) usage.Event {
	e := event(key, at, policy.CodeRateLimited.String())
	e.Refusal = &usage.Refusal{By: limit, Until: until}
	return e
}

// exhausted is a request that a limit refused because its quota is used up.
func exhausted(key, limit string, at, until time.Time) usage.Event {
	e := refused(key, limit, at, until)
	e.Error = policy.CodeQuotaExhausted.String()
	return e
}

// shadowed is a request that passed, and that limits in shadow would have refused.
func shadowed(key string, at time.Time, limits ...string) usage.Event {
	e := event(key, at, policy.CodeValid.String())
	e.Refusal = &usage.Refusal{Shadows: limits}
	return e
}

// limits is what the feed tells of each limit.
func limits(t *testing.T, store *Store, now time.Time) map[string]usagefeed.Limit {
	t.Helper()
	told := map[string]usagefeed.Limit{}
	for _, l := range limitsAfter(t, store, 0, now).Limits {
		told[l.ID] = l
	}
	return told
}

func limitsAfter(t *testing.T, store *Store, after int64, now time.Time) usagefeed.LimitPage {
	t.Helper()
	page, err := store.Limits(context.Background(), after, now)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func TestALimitTellsWhatItRefusedAndWouldHave(t *testing.T) {
	store := newStore(t)
	until := november.Add(time.Minute)
	add(t, store,
		refused("a", "enforced", november, until), refused("a", "enforced", november.Add(time.Second), until), refused("b", "enforced", november, until),
		shadowed("a", november, "tried", "tried", "other"), shadowed("a", november, "tried"), event("c", november, "KEY_EXPIRED"))
	add(t, store, exhausted("c", "enforced", november, november.AddDate(0, 0, 9)))
	got := limits(t, store, november.Add(2*time.Second))
	want := map[string]usagefeed.Limit{
		"enforced": {ID: "enforced", Denied: 4, ThrottledKeys: 2, ExhaustedKeys: 1},
		"tried":    {ID: "tried", ShadowDenied: 2},
		"other":    {ID: "other", ShadowDenied: 1},
	}
	for id, limit := range want {
		if got[id] != limit {
			t.Errorf("told %+v, want %+v", got[id], limit)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d limits are told of, want %d: %+v", len(got), len(want), got)
	}
}

// Each case is a key and what became of its requests, in seconds from the beginning.
func TestAKeyIsRefusedUntilItIsOver(t *testing.T) {
	at := func(seconds int) time.Time { return november.Add(time.Duration(seconds) * time.Second) }
	const hour = 3600
	tests := map[string]struct {
		events               []usage.Event
		now                  int
		throttled, exhausted int32
	}{
		"throttled until the span is over":             {[]usage.Event{refused("a", "l", at(0), at(hour))}, hour - 1, 1, 0},
		"and not from then on":                         {[]usage.Event{refused("a", "l", at(0), at(hour))}, hour, 0, 0},
		"throttled for milliseconds, half a minute":    {[]usage.Event{refused("a", "l", at(0), at(0))}, 29, 1, 0},
		"and no longer":                                {[]usage.Event{refused("a", "l", at(0), at(0))}, 30, 0, 0},
		"though others pass between":                   {[]usage.Event{refused("a", "l", at(0), at(1)), event("a", at(1), "VALID")}, 10, 1, 0},
		"throttled for an hour, but passed":            {[]usage.Event{refused("a", "l", at(0), at(hour)), event("a", at(40), "VALID")}, 41, 0, 0},
		"passed before it was throttled":               {[]usage.Event{event("a", at(-1), "VALID"), refused("a", "l", at(0), at(hour))}, 41, 1, 0},
		"exhausted until the period is over":           {[]usage.Event{exhausted("a", "l", at(0), at(hour))}, hour - 1, 0, 1},
		"and not for a moment of the next":             {[]usage.Event{exhausted("a", "l", at(hour-1), at(hour))}, hour, 0, 0},
		"exhausted, but passed":                        {[]usage.Event{exhausted("a", "l", at(0), at(hour)), event("a", at(1), "VALID")}, 2, 0, 0},
		"exhausted again after it passed":              {[]usage.Event{event("a", at(1), "VALID"), exhausted("a", "l", at(2), at(hour))}, 3, 0, 1},
		"exhausted, and then denied for other reasons": {[]usage.Event{exhausted("a", "l", at(0), at(hour)), event("a", at(1), "KEY_EXPIRED")}, 2, 0, 1},
		"throttled and then exhausted":                 {[]usage.Event{refused("a", "l", at(0), at(hour)), exhausted("a", "l", at(1), at(hour))}, 2, 0, 1},
		"exhausted and then only throttled":            {[]usage.Event{exhausted("a", "l", at(0), at(hour)), refused("a", "l", at(1), at(hour))}, 2, 1, 0},
		"stamped by a clock that was ahead":            {[]usage.Event{exhausted("a", "l", at(9*hour), at(99*hour))}, 1, 0, 0},
	}
	for name, test := range tests {
		for _, order := range []string{"in order", "the other way round"} {
			t.Run(name+" "+order, func(t *testing.T) {
				store := newStore(t)
				for i := range test.events {
					if order != "in order" {
						i = len(test.events) - 1 - i
					}
					add(t, store, test.events[i])
				}
				got := limits(t, store, at(test.now))["l"]
				if got.ThrottledKeys != test.throttled || got.ExhaustedKeys != test.exhausted {
					t.Errorf("told %+v, want %d throttled and %d exhausted", got, test.throttled, test.exhausted)
				}
				if key := only(t, changes(t, store, 0, at(test.now))); (key.Exhausted != nil) != (test.exhausted > 0) {
					t.Errorf("of the key is told %+v", key.Exhausted)
				}
			})
		}
	}
}

func TestAKeyTellsOfTheLimitThatStaysExhaustedForLongest(t *testing.T) {
	store := newStore(t)
	tonight, month := november.Add(12*time.Hour), november.AddDate(0, 0, 9)
	budget := exhausted("a", "monthly", november, month)
	budget.Error = "BUDGET_EXHAUSTED"
	add(t, store, exhausted("a", "daily", november.Add(time.Second), tonight), budget, exhausted("b", "daily", november, tonight))
	for _, key := range changes(t, store, 0, november.Add(time.Minute)).Keys {
		want := usagefeed.Exhausted{Limit: "daily", Code: "QUOTA_EXHAUSTED", ResetAt: tonight}
		if key.ID == keyid.Derive("a").String() {
			want = usagefeed.Exhausted{Limit: "monthly", Code: "BUDGET_EXHAUSTED", ResetAt: month}
		}
		if key.Exhausted == nil || *key.Exhausted != want {
			t.Errorf("of %s is told %+v, want %+v", key.ID, key.Exhausted, want)
		}
	}
}

func TestAKeyTellsWhatIsLeftOfItsBudget(t *testing.T) {
	store := newStore(t)
	spent := event("a", november, "VALID")
	spent.BudgetRemaining, spent.BudgetResetAt = 2_000_000, november.AddDate(0, 0, 9)
	add(t, store, spent)
	earlier := spent
	earlier.At, earlier.BudgetRemaining = november.Add(-time.Minute), 3_000_000
	add(t, store, earlier)
	key := only(t, changes(t, store, 0, november))
	if key.BudgetRemaining == nil || *key.BudgetRemaining != 2_000_000 || key.BudgetResetAt == nil || !key.BudgetResetAt.Equal(spent.BudgetResetAt) {
		t.Errorf("of the budget is told %v until %v", key.BudgetRemaining, key.BudgetResetAt)
	}
	add(t, store, event("a", november.Add(time.Minute), "VALID"))
	if key := only(t, changes(t, store, 0, november)); key.BudgetRemaining != nil || key.BudgetResetAt != nil {
		t.Errorf("without a budget is told %v until %v", key.BudgetRemaining, key.BudgetResetAt)
	}
}

func TestOnlyLimitsThatChangedAreTold(t *testing.T) {
	store := newStore(t)
	add(t, store, shadowed("a", november, "one", "two"))
	first := limitsAfter(t, store, 0, november)
	if len(first.Limits) != 2 || first.Epoch != changes(t, store, 0, november).Epoch {
		t.Fatalf("told at first: %+v", first)
	}
	if again := limitsAfter(t, store, first.Next, november); len(again.Limits) != 0 || again.Next != first.Next {
		t.Errorf("nothing happened, and yet: %+v", again)
	}
	add(t, store, shadowed("a", november, "one"))
	if second := limitsAfter(t, store, first.Next, november); len(second.Limits) != 1 || second.Limits[0].ID != "one" || second.Limits[0].ShadowDenied != 2 {
		t.Errorf("changed: %+v, want one with 2 requests", second.Limits)
	}
}
