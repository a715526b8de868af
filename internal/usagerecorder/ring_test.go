package usagerecorder

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/internal/usage"
)

func TestAQueueGivesBackWhatItTook(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, queued, taken, pushed := newQueue(8, 64), 0, int64(0), int64(0)
		most := 64 + 8*len(q.rings)
		for range rapid.IntRange(1, 20).Draw(t, "rounds") {
			for range rapid.IntRange(0, 80).Draw(t, "pushed") {
				ok := q.push(&usage.Event{Remaining: pushed})
				if !ok && queued < 64 || ok && queued == most {
					t.Fatalf("with %d of %d queued an event was taken: %t", queued, most, ok)
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
	q := newQueue(8, 64)
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
