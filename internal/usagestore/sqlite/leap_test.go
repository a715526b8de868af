package sqlite

import (
	"context"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

func limited(at time.Time, remaining int64) usage.Event {
	e := event("a", at, "VALID")
	e.Remaining, e.ResetAt = remaining, at.Add(time.Minute)
	return e
}

func TestAClockThatWasAheadForAMomentSpoilsNoUsage(t *testing.T) {
	leaps := map[string]time.Time{
		"by three years": november.AddDate(3, 0, 0),
		"by one month":   november.AddDate(0, 1, 0),
		"by one day":     november.AddDate(0, 0, 1),
	}
	for name, leap := range leaps {
		t.Run(name, func(t *testing.T) {
			store := newStore(t)
			monthStart := usagefeed.PeriodStart(november)
			add(t, store, event("a", monthStart.Add(-time.Second), "VALID"))
			add(t, store, event("a", monthStart, "VALID"), event("a", november, "KEY_EXPIRED"), event("b", november, "VALID"))
			add(t, store, limited(leap, 99))
			last := november.Add(time.Hour)
			add(t, store, limited(last, 7), event("a", last.Add(-time.Minute), "RATE_LIMITED"))

			page := changes(t, store, 0, november)
			key := page.Keys[len(page.Keys)-1]
			want := usagefeed.Counts{Requests: 2, Denied: 2}
			if usagefeed.PeriodStart(leap).Equal(monthStart) {
				want.Requests++ // it cannot be told from a use of this month
			}
			if key.ID != keyid.Derive("a").String() || key.Period.Counts != want || !key.Period.Start.Equal(monthStart) {
				t.Errorf("%s has the period %+v, want %+v", key.ID, key.Period, want)
			}
			if want := (usagefeed.Counts{Requests: 4, Denied: 2}); key.Total != want {
				t.Errorf("the total is %+v, want %+v", key.Total, want)
			}
			if !key.LastUsedAt.Equal(last) || key.Remaining == nil || *key.Remaining != 7 ||
				key.ResetAt == nil || !key.ResetAt.Equal(last.Add(time.Minute)) {
				t.Errorf("the last use reads %+v, want that at %v", key, last)
			}
		})
	}
}

func TestAClockThatIsAheadDeletesNoHours(t *testing.T) {
	tests := map[string]struct {
		now  time.Time
		uses []time.Time
	}{
		"with nothing used meanwhile":       {november.AddDate(3, 0, 0), nil},
		"with a use that has the same time": {november.AddDate(3, 0, 0), []time.Time{november.AddDate(3, 0, 0)}},
		"by little more than is kept":       {november.AddDate(0, usagestore.KeptMonths+1, 0), nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			store := newStore(t)
			add(t, store, event("a", november, "VALID"))
			for _, at := range test.uses {
				add(t, store, event("a", at, "VALID"))
			}
			before := hourlyRows(t, store)
			if err := store.Expire(context.Background(), test.now, keepsAll); err != nil {
				t.Error(err)
			}
			if got := hourlyRows(t, store); got != before {
				t.Errorf("of %s there is left %s", before, got)
			}
		})
	}
}

func TestAClockThatWasAheadForAMomentHidesNoRefusal(t *testing.T) {
	store := newStore(t)
	leap, until := november.AddDate(3, 0, 0), november.Add(12*time.Hour)
	add(t, store, event("a", leap, "VALID"), exhausted("b", "l", leap, leap.AddDate(0, 1, 0)))
	add(t, store, exhausted("a", "l", november, until), exhausted("b", "l", november, until))
	now := november.Add(time.Second)
	if got := limits(t, store, now)["l"].ExhaustedKeys; got != 2 {
		t.Errorf("%d keys are exhausted, want 2", got)
	}
	for _, key := range changes(t, store, 0, now).Keys {
		if key.Exhausted == nil || !key.Exhausted.ResetAt.Equal(until) {
			t.Errorf("of %s is told %+v", key.ID, key.Exhausted)
		}
	}
	if lapseAt(t, store, until, allHold); refusalsLeft(t, store) != 0 {
		t.Errorf("%d refusals are kept when all are over", refusalsLeft(t, store))
	}
}
