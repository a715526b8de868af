package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// However events are split into roll-ups, and in whatever order those are stored, the
// totals, the month and the hours tell the same.
func TestTotalsMonthAndHoursAgree(t *testing.T) {
	folder := t.TempDir()
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		store, err := Open(context.Background(), filepath.Join(folder, fmt.Sprintf("%d.db", runs)))
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close() //nolint:errcheck // a test

		start := time.Date(2026, time.October, 30, 0, 0, 0, 0, time.UTC)
		counted := map[string]*[3]int64{} // requests, denied, of them in the newest month
		for range rapid.IntRange(1, 6).Draw(t, "rollups") {
			rollup := usage.NewRollup()
			for range rapid.IntRange(1, 20).Draw(t, "events") {
				e := event(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key"),
					start.Add(time.Duration(rapid.IntRange(0, 96).Draw(t, "hour"))*time.Hour),
					rapid.SampledFrom([]string{"VALID", "RATE_LIMITED", "KEY_EXPIRED"}).Draw(t, "code"))
				put(rollup, e)
				if counted[e.Key.String()] == nil {
					counted[e.Key.String()] = new([3]int64)
				}
				if e.Status == usage.Allowed {
					counted[e.Key.String()][0]++
				} else {
					counted[e.Key.String()][1]++
				}
				if e.At.Month() == time.November {
					counted[e.Key.String()][2]++
				}
			}
			if err := addRollup(store, rollup); err != nil {
				t.Fatal(err)
			}
		}

		page, err := readChanges(store, 0, start.AddDate(0, 0, 5))
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Keys) != len(counted) {
			t.Fatalf("%d keys, want %d", len(page.Keys), len(counted))
		}
		for _, key := range page.Keys {
			want := counted[key.ID]
			if key.Total != (usagefeed.Counts{Requests: want[0], Denied: want[1]}) {
				t.Errorf("%s: total %+v, want %v", key.ID, key.Total, want)
			}
			if got := key.Period.Requests + key.Period.Denied; got != want[2] {
				t.Errorf("%s: %d in November, want %d", key.ID, got, want[2])
			}
			var hours int64
			err := store.reader.QueryRow("SELECT sum(count) FROM hourly_usage WHERE key = ? AND workspace = 'team/shop'", key.ID).Scan(&hours)
			if err != nil || hours != want[0]+want[1] {
				t.Errorf("%s: the hours sum up to %d (%v), want %d", key.ID, hours, err, want[0]+want[1])
			}
		}
	})
}

// However events are split into roll-ups, and in whatever order those are stored: the same keys are refused.
func TestTheSameIsRefusedInWhateverOrderRollupsAreStored(t *testing.T) {
	folder := t.TempDir()
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		whole, parts := usage.NewRollup(), []*usage.Rollup{usage.NewRollup(), usage.NewRollup(), usage.NewRollup()}
		for range rapid.IntRange(1, 20).Draw(t, "events") {
			e := drawRefused(t)
			put(whole, e)
			parts[rapid.IntRange(0, 2).Draw(t, "part")].Add(&e)
		}
		now := november.Add(time.Duration(rapid.IntRange(0, 15).Draw(t, "now")) * time.Minute)
		var told [2]string
		for i, rollups := range [][]*usage.Rollup{{whole}, rapid.Permutation(parts).Draw(t, "order")} {
			runs++
			store, err := Open(context.Background(), filepath.Join(folder, fmt.Sprintf("%d.db", runs)))
			if err != nil {
				t.Fatal(err)
			}
			for _, rollup := range rollups {
				if err := addRollup(store, rollup); err != nil {
					t.Fatal(err)
				}
			}
			told[i] = refusedNow(t, store, now)
			store.Close() //nolint:errcheck // a test
		}
		if told[0] != told[1] {
			t.Errorf("in one roll-up: %s\nin several: %s", told[0], told[1])
		}
	})
}

func drawRefused(t *rapid.T) usage.Event {
	minute := func(label string) time.Time {
		return november.Add(time.Duration(rapid.IntRange(0, 10).Draw(t, label)) * time.Minute)
	}
	e := event(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key"), minute("at"),
		rapid.SampledFrom([]string{"VALID", "RATE_LIMITED", "QUOTA_EXHAUSTED", "BUDGET_EXHAUSTED"}).Draw(t, "code"))
	limit := rapid.SampledFrom([]string{"l", "m"})
	if e.Status == usage.Allowed {
		e.Refusal = &usage.Refusal{Shadows: rapid.SliceOfN(limit, 0, 2).Draw(t, "shadows")}
	} else {
		e.Refusal = &usage.Refusal{By: limit.Draw(t, "by"), Until: minute("until")}
	}
	return e
}

// refusedNow is all that the feeds tell of limits, as a text.
func refusedNow(t *rapid.T, store *Store, now time.Time) string {
	keys, err := readChanges(store, 0, now)
	if err != nil {
		t.Fatal(err)
	}
	limits, err := store.Limits(context.Background(), 0, now)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, key := range keys.Keys {
		told[key.ID] = fmt.Sprintf("%+v", key.Exhausted)
	}
	for _, limit := range limits.Limits {
		told[limit.ID] = fmt.Sprintf("%+v", limit)
	}
	return fmt.Sprint(told) // in the order of its keys
}
