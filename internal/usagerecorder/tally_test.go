package usagerecorder

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
)

// However events come: tallied first, they end in the same roll-up.
func TestTalliesEndInTheRollupOfTheirEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want, got, tallied := usage.NewRollup(), usage.NewRollup(), newTallies()
		for range rapid.IntRange(0, 50).Draw(t, "events") {
			e := usage.Event{
				Key:         keyid.Derive(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key")),
				Attribution: usage.Attribution{Workspace: rapid.SampledFrom([]string{"v", "w"}).Draw(t, "workspace")},
				Details: usage.Details{
					Status: usage.Status(rapid.IntRange(0, 4).Draw(t, "status")), Tier: rapid.SampledFrom([]string{"", "gold"}).Draw(t, "tier"),
				},
				Quarters: rapid.Bool().Draw(t, "quarters"), SpendMicrocents: rapid.Int64Range(0, 9).Draw(t, "spend"),
				At:        start.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "half hours")) * 30 * time.Minute),
				Remaining: rapid.Int64Range(-1, 2).Draw(t, "remaining"), BudgetRemaining: rapid.Int64Range(-1, 1).Draw(t, "budget"),
			}
			e.ResetAt = e.At.Add(time.Duration(e.Remaining) * time.Minute)
			if rapid.Bool().Draw(t, "refused") {
				limit := rapid.SampledFrom([]string{"", "l", "m"})
				e.Refusal = &usage.Refusal{By: limit.Draw(t, "by"), Until: e.ResetAt, Shadows: rapid.SliceOfN(limit, 0, 2).Draw(t, "shadows")}
			}
			want.Add(&e)
			tallied.add(&e, got)
			if rapid.IntRange(0, 9).Draw(t, "flush") == 0 {
				tallied.settle(got)
			}
		}
		tallied.settle(got)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func TestAQueueGivesBackWhatItTook(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, queued, taken, pushed := newQueue(64), 0, int64(0), int64(0)
		for range rapid.IntRange(1, 20).Draw(t, "rounds") {
			for range rapid.IntRange(0, 80).Draw(t, "pushed") {
				ok := q.push(&usage.Event{Remaining: pushed})
				if ok != (queued < 64) {
					t.Fatalf("with %d of 64 queued an event was taken: %t", queued, ok)
				}
				if ok {
					pushed++
					queued++
				}
			}
			if rapid.Bool().Draw(t, "drain") {
				q.drain(func(*usage.Event) {
					taken++
					queued--
				})
			}
		}
		for q.drain(func(*usage.Event) { taken++ }) {
		}
		if taken != pushed {
			t.Fatalf("of %d events %d came out", pushed, taken)
		}
	})
}

func TestAQueueKeepsNothingInMemoryThatItGaveBack(t *testing.T) {
	q := newQueue(64)
	q.push(&usage.Event{Refusal: &usage.Refusal{By: "l"}})
	var by string
	q.drain(func(e *usage.Event) { by = e.Refusal.By })
	if by != "l" {
		t.Errorf("it gave back a refusal by %q", by)
	}
	for r := range q.rings {
		for i := range q.rings[r].cells {
			if q.rings[r].cells[i].event.Refusal != nil {
				t.Error("the refusal is still there")
			}
		}
	}
}

func TestTooManyDetailsBecomeOneAndAreCountedAllTheSame(t *testing.T) {
	tallied, got := newTallies(), usage.NewRollup()
	const events = maxDetails + 500
	add := func(key string, at time.Time, domain int) {
		e := event(key)
		e.At, e.Domain, e.Tier = at, fmt.Sprint(domain), ""
		tallied.add(&e, got)
	}
	for i := range events {
		add("a", start, i)
		if i%700 == 0 {
			tallied.settle(got)
		}
	}
	add("b", start, 1)                      // another key,
	add("a", start.Add(24*time.Hour), 9999) // and another day
	tallied.settle(got)
	if sum := got.Events(); sum != events+2 {
		t.Errorf("%d events are counted, want %d", sum, events+2)
	}
	if series := len(got.Buckets); series != maxDetails+1+2 {
		t.Errorf("they are told apart as %d, want %d", series, maxDetails+3)
	}
	for bucket, measures := range got.Buckets {
		if bucket.Domain == Other && measures.Count != 500 {
			t.Errorf("%d are others, want 500", measures.Count)
		}
	}
}
