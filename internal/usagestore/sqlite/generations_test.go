package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

func used(key string, generation uint32, at time.Time) usage.Event {
	e := event(key, at, "VALID")
	e.Generation = generation
	return e
}

func generations(pairs ...any) (all []usagefeed.Generation) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, usagefeed.Generation{Number: pairs[i].(int), LastUsedAt: pairs[i+1].(time.Time)})
	}
	return all
}

func TestTheFeedTellsWhichGenerationsAreStillUsed(t *testing.T) {
	store := newStore(t)
	at := func(minutes int) time.Time { return november.Add(time.Duration(minutes) * time.Minute) }
	var after int64
	for step, test := range []struct {
		events []usage.Event
		want   []usagefeed.Generation
	}{
		{[]usage.Event{event("a", at(0), "VALID")}, nil}, // by a verifier of before
		{[]usage.Event{used("a", 1, at(1))}, generations(1, at(1))},
		{[]usage.Event{used("a", 2, at(2))}, generations(2, at(2), 1, at(1))},
		{[]usage.Event{used("a", 1, at(3))}, generations(2, at(2), 1, at(3))}, // the old one alone
		{[]usage.Event{used("a", 2, at(5)), used("a", 1, at(4))}, generations(2, at(5), 1, at(4))},
		{[]usage.Event{used("a", 2, at(2))}, generations(2, at(5), 1, at(4))}, // late
		{[]usage.Event{used("a", 3, at(6))}, generations(3, at(6), 2, at(5))},
		{[]usage.Event{used("a", 1, at(7))}, generations(3, at(6), 2, at(5))}, // of before the newest two
		{[]usage.Event{used("a", 5, at(8)), used("a", 4, at(8))}, generations(5, at(8), 4, at(8))},
		{[]usage.Event{used("a", 5, at(10_000))}, generations(5, at(10_000), 4, at(8))}, // by a clock that leapt
		{[]usage.Event{used("a", 5, at(9))}, generations(5, at(9), 4, at(8))},
	} {
		add(t, store, test.events...)
		page := changes(t, store, after, november)
		if got := only(t, page).Generations; !reflect.DeepEqual(got, test.want) {
			t.Errorf("step %d: got %v, want %v", step, got, test.want)
		}
		after = page.Next
	}
	var rows int
	if err := store.reader.QueryRow("SELECT count(*) FROM key_generations").Scan(&rows); err != nil || rows != 2 {
		t.Errorf("%d rows are kept (%v), want two", rows, err)
	}
}

func TestGenerationsAreTheSameInWhateverOrderRollupsAreStored(t *testing.T) {
	folder := t.TempDir()
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		whole, parts := usage.NewRollup(), []*usage.Rollup{usage.NewRollup(), usage.NewRollup(), usage.NewRollup()}
		for range rapid.IntRange(1, 20).Draw(t, "events") {
			e := used(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key"), rapid.Uint32Range(0, 4).Draw(t, "generation"),
				november.Add(time.Duration(rapid.IntRange(0, 10).Draw(t, "at"))*time.Minute))
			put(whole, e)
			parts[rapid.IntRange(0, 2).Draw(t, "part")].Add(&e)
		}
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
			page, err := readChanges(store, 0, november)
			if err != nil {
				t.Fatal(err)
			}
			all := map[string]string{}
			for _, key := range page.Keys {
				all[key.ID] = fmt.Sprint(key.Generations)
			}
			told[i] = fmt.Sprint(all)
			store.Close() //nolint:errcheck // a test
		}
		if told[0] != told[1] {
			t.Errorf("in one roll-up: %s\nin several: %s", told[0], told[1])
		}
	})
}
