package usagerecorder

import (
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
		want, got, tallied := usage.NewRollup(), usage.NewRollup(), tallies{}
		for range rapid.IntRange(0, 50).Draw(t, "events") {
			e := usage.Event{
				Key:       keyid.Derive(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key")),
				Workspace: rapid.SampledFrom([]string{"v", "w"}).Draw(t, "workspace"),
				At:        start.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "half hours")) * 30 * time.Minute),
				Code:      rapid.SampledFrom([]string{"VALID", "RATE_LIMITED", "KEY_EXPIRED"}).Draw(t, "code"),
				Remaining: rapid.Int64Range(-1, 2).Draw(t, "remaining"), BudgetRemaining: rapid.Int64Range(-1, 1).Draw(t, "budget"),
			}
			e.ResetAt = e.At.Add(time.Duration(e.Remaining) * time.Minute)
			if rapid.Bool().Draw(t, "refused") {
				limit := rapid.SampledFrom([]string{"", "l", "m"})
				e.Refusal = &usage.Refusal{By: limit.Draw(t, "by"), Until: e.ResetAt, Shadows: rapid.SliceOfN(limit, 0, 2).Draw(t, "shadows")}
			}
			want.Add(e)
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
