package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

func testNumbers(t *testing.T, f *fixture) {
	if last, err := f.Stored(t.Context(), writer); last != 0 || err != nil {
		t.Fatalf("of a writer that never wrote %d is stored, %v", last, err)
	}
	first := f.batch(decided("a", november, "", logged), ended("a", november, usage.Succeeded, "1", logged))
	for range 3 {
		if err := f.Add(t.Context(), first); err != nil {
			t.Fatal(err)
		}
	}
	second, third := f.batch(decided("a", november, "")), f.batch(decided("a", november, ""))
	second.Merge(third)
	if err := f.Add(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if last, err := f.Stored(t.Context(), writer); last != 3 || err != nil {
		t.Errorf("the last that is stored is %d, %v; want 3", last, err)
	}
	overlapping := batchOf(writer, 3, decided("a", november, ""))
	overlapping.Last = 4
	if err := f.Add(t.Context(), overlapping); err == nil {
		t.Error("a batch of which a part was stored before was taken")
	}
	want := usagefeed.Counts{Requests: 3, Succeeded: 1}
	if got := f.keys(t, november, months(november), "a")["a"]; got.Total != want || got.Period.Counts != want {
		t.Errorf("counted is %+v, want %+v", got, want)
	}
	page, err := f.Log(t.Context(), &usagestore.LogQuery{From: november.Add(-time.Hour), To: november.Add(time.Hour), Page: 1, PageSize: 9})
	if err != nil || page.Total != 2 {
		t.Errorf("%d lines are logged, %v; want 2", page.Total, err)
	}
}

func testWriters(t *testing.T, f *fixture) {
	for _, name := range []string{"one", "two"} {
		for number := range int64(2) {
			if err := f.Add(t.Context(), batchOf(name, number+1, decided("a", november, ""))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := f.keys(t, november, months(november), "a")["a"].Total.Requests; got != 4 {
		t.Errorf("two writers of two batches each come to %d", got)
	}
}

func testReports(t *testing.T, f *fixture) {
	report := ended("a", november, usage.Failed, "1", costs(7), logged)
	f.add(t, report, report, ended("b", november, usage.Failed, "1"), ended("a", november, usage.Failed, "2"))
	f.add(t, report)
	if err := f.Add(t.Context(), batchOf("another", 1, report, decided("a", november, "", logged))); err != nil {
		t.Fatal(err)
	}
	keys := f.keys(t, november, months(november), "a", "b")
	if got, want := keys["a"].Total, (usagefeed.Counts{Requests: 1, Failed: 2, SpendMicrocents: 7}); got != want {
		t.Errorf("a has %+v, want %+v", got, want)
	}
	if got, want := keys["b"].Total, (usagefeed.Counts{Failed: 1}); got != want {
		t.Errorf("b has %+v, want %+v", got, want)
	}
	page, err := f.Log(t.Context(), &usagestore.LogQuery{From: november, To: november.Add(time.Hour), Page: 1, PageSize: 9})
	if err != nil || page.Total != 2 {
		t.Errorf("%d lines are logged, %v; want 2", page.Total, err)
	}
	// After a day nobody remembers.
	if err := f.Expire(t.Context(), november.Add(25*time.Hour), nothingKnown); err != nil {
		t.Fatal(err)
	}
	f.add(t, report)
	if got := f.keys(t, november, months(november), "a")["a"].Total.Failed; got != 3 {
		t.Errorf("a report of the day before came to %d", got)
	}
}

func nothingKnown(string) (time.Duration, bool) { return 0, false }

func testCounts(t *testing.T, f *fixture) {
	f.add(t,
		decided("a", november, "", costs(1)), decided("a", november, "RATE_LIMITED"), decided("a", november, "KEY_EXPIRED"),
		ended("a", november, usage.Succeeded, "1", costs(10), func(e *usage.Event) { e.Latency, e.Bytes = 2*time.Millisecond, 5 }),
		ended("a", november, usage.Succeeded, "2", func(e *usage.Event) { e.Latency = 4 * time.Millisecond }),
		ended("a", november, usage.Failed, "3", costs(100)), ended("a", november, usage.Reported, "4", costs(1000)))
	counts := usagefeed.Counts{Requests: 1, Denied: 2, Succeeded: 2, Failed: 1, SpendMicrocents: 1111}
	if got := f.keys(t, november, months(november), "a")["a"]; got.Total != counts || got.Period.Counts != counts {
		t.Errorf("the feed tells of %+v, want %+v", got, counts)
	}
	want := usage.Totals{
		Requests: 1, Denied: 2, Succeeded: 2, Failed: 1, SpendMicrocents: 1111, LatencyMicros: 6000, Timed: 2, Bytes: 5,
	}
	if got := f.sum(t, november.Truncate(time.Hour), november.Truncate(time.Hour).Add(time.Hour), equal(usagestore.ByKey, keyid.Derive("a").String())); got != want {
		t.Errorf("summed up is %+v, want %+v", got, want)
	}
}

func testOutcomesAlone(t *testing.T, f *fixture) {
	f.add(t, ended("a", november, usage.Succeeded, "1"))
	if key := f.keys(t, november, months(november), "a")["a"]; !key.LastUsedAt.IsZero() || key.Total.Succeeded != 1 || key.Remaining != nil {
		t.Errorf("of a key that was never presented is told %+v", key)
	}
	f.add(t, decided("a", november, "", func(e *usage.Event) { e.Remaining, e.ResetAt = 5, november.Add(time.Hour) }))
	f.add(t, ended("a", november.Add(time.Minute), usage.Succeeded, "2"))
	key := f.keys(t, november, months(november), "a")["a"]
	if !key.LastUsedAt.Equal(november) || key.Remaining == nil || *key.Remaining != 5 {
		t.Errorf("after an outcome the last use reads %+v", key)
	}
	if g := f.groups(t, november, months(november))["Workspace team/shop"]; !g.LastUsedAt.Equal(november) {
		t.Errorf("the workspace was used last at %v", g.LastUsedAt)
	}
}

func testConcurrency(t *testing.T, f *fixture) {
	const writers, batches = 4, 15
	var adding sync.WaitGroup
	for w := range writers {
		adding.Go(func() {
			for number := range int64(batches) {
				var events []usage.Event
				for key := range 5 {
					at := november.Add(time.Duration(number) * time.Minute)
					events = append(events, decided(fmt.Sprint(key), at, "", logged), ended(fmt.Sprint(key), at, usage.Succeeded, fmt.Sprint(number), logged))
				}
				if err := f.Add(t.Context(), batchOf(fmt.Sprint(w), number+1, events...)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	// Whoever follows the feed meanwhile misses no change.
	seen, after := map[string]usagefeed.Key{}, int64(0)
	follow := func() {
		page, err := f.Changes(t.Context(), after, november, months(november))
		if err != nil {
			t.Error(err)
			return
		}
		for _, key := range page.Keys {
			seen[key.ID] = key
		}
		after = page.Next
	}
	done := make(chan struct{})
	go func() {
		adding.Wait()
		close(done)
	}()
	for adding := true; adding; {
		select {
		case <-done:
			adding = false
		default:
		}
		follow()
	}
	want := usagefeed.Counts{Requests: writers * batches, Succeeded: batches} // which all four brought
	for id, key := range seen {
		if key.Total != want {
			t.Errorf("of %s the feed told %+v last, want %+v", id, key.Total, want)
		}
	}
	page, err := f.Log(t.Context(), &usagestore.LogQuery{From: november, To: november.Add(time.Hour), Page: 1, PageSize: 1})
	if err != nil || page.Total != 5*(writers*batches+batches) || len(seen) != 5 {
		t.Errorf("%d lines of %d keys, %v", page.Total, len(seen), err)
	}
}

func testOwner(t *testing.T, f *fixture) {
	f.add(t, decided("a", november, "", of("team/shop", "")))
	if workspace, found, err := f.Owner(t.Context(), keyid.Derive("a")); workspace != "team/shop" || !found || err != nil {
		t.Errorf("a belongs to %q, %t, %v", workspace, found, err)
	}
	if _, found, err := f.Owner(t.Context(), keyid.Derive("b")); found || err != nil {
		t.Errorf("b is found: %t, %v", found, err)
	}
}
