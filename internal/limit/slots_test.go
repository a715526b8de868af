package limit

import (
	"maps"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestSlots(t *testing.T) {
	type step struct {
		do            string
		id            uint64
		now, deadline int64
		max, inUse    int64
		ok            bool
	}
	hour := int64(time.Hour)
	tests := map[string][]step{
		"no more than max are held":             {{"hold", 1, 0, 9, 2, 1, true}, {"hold", 2, 0, 9, 2, 2, true}, {"hold", 3, 0, 9, 2, 2, false}},
		"a max of nothing lets nothing through": {{"hold", 1, 0, 9, 0, 0, false}, {"release", 1, 0, 0, 0, 0, false}},
		"a released slot is free": {
			{"hold", 1, 0, 9, 1, 1, true}, {"release", 1, 5, 0, 0, 0, true}, {"release", 1, 5, 0, 0, 0, false}, {"hold", 2, 5, 9, 1, 1, true},
		},
		"a slot is free at its deadline and not before": {
			{"hold", 1, 0, 9, 1, 1, true}, {"hold", 2, 8, 20, 1, 1, false}, {"hold", 2, 9, 20, 1, 1, true},
		},
		"a late release does not free another's slot": {
			{"hold", 1, 0, 9, 1, 1, true}, {"hold", 2, 9, 20, 1, 1, true}, {"release", 1, 10, 0, 0, 1, false}, {"release", 2, 10, 0, 0, 0, true},
		},
		"requests of one number hold a slot each": {
			{"hold", 7, 0, 9, 3, 1, true}, {"hold", 7, 0, 9, 3, 2, true},
			{"release", 7, 1, 0, 0, 1, true}, {"release", 7, 1, 0, 0, 0, true}, {"release", 7, 1, 0, 0, 0, false},
		},
		"number zero is one like any other": {{"release", 0, 0, 0, 0, 0, false}, {"hold", 0, 0, 9, 1, 1, true}, {"release", 0, 0, 0, 0, 0, true}},
		"the slots above a lowered max count": {
			{"hold", 1, 0, 9, 3, 1, true}, {"hold", 2, 0, 9, 3, 2, true}, {"hold", 3, 0, 9, 3, 3, true}, {"release", 1, 1, 0, 0, 2, true},
			{"hold", 4, 1, 9, 2, 2, false}, {"release", 3, 1, 0, 0, 1, true}, {"hold", 4, 1, 9, 2, 2, true},
		},
		"a deadline that has passed holds for a nanosecond": {{"hold", 1, 5, 5, 1, 1, true}, {"hold", 2, 5, 9, 1, 1, false}, {"hold", 2, 6, 9, 1, 1, true}},
		"a clock set back keeps a slot for as long as was asked for": {
			{"hold", 1, 100 * hour, 101 * hour, 1, 1, true}, {"hold", 2, 0, hour, 1, 1, false},
			{"hold", 2, hour - 1, 2 * hour, 1, 1, false}, {"hold", 2, hour, 2 * hour, 1, 1, true},
		},
		"a slot can be released after the clock was set back": {
			{"hold", 1, 100 * hour, 101 * hour, 1, 1, true}, {"hold", 2, 0, hour, 1, 1, false}, {"release", 1, 0, 0, 0, 0, true},
		},
		"a request that asks for less time ends no other's": {
			{"hold", 1, 0, 2 * hour, 2, 1, true}, {"hold", 2, 1, 2, 2, 2, true}, {"hold", 3, hour, hour + 1, 1, 1, false},
			{"hold", 3, 2*hour - 1, 3 * hour, 1, 1, false}, {"hold", 3, 2 * hour, 3 * hour, 1, 1, true},
		},
		"a request that asks for ever is held for ever": {{"hold", 1, -5, math.MaxInt64, 1, 1, true}, {"hold", 2, -5, 5, 1, 1, false}, {"hold", 2, hour, 2 * hour, 1, 1, false}},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			var slots Slots
			for i, s := range steps {
				inUse, ok := int64(0), false
				if s.do == "hold" {
					inUse, ok = slots.Hold(s.id, s.now, s.deadline, s.max)
				} else {
					ok = slots.Release(s.id, s.now)
					inUse, _ = slots.InUse(s.now)
				}
				if inUse != s.inUse || ok != s.ok {
					t.Errorf("step %d: %d in use, %v, want %+v", i, inUse, ok, s)
				}
			}
		})
	}
}

func TestSlotsAgreeWithAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var slots Slots
		held := map[uint64]int64{} // the deadline of each request
		now := int64(0)
		for range 300 {
			now += rapid.Int64Range(0, 3).Draw(t, "pause")
			maps.DeleteFunc(held, func(_ uint64, deadline int64) bool { return deadline <= now })
			count, next := int64(len(held)), int64(0)
			if count > 0 {
				next = slices.Min(slices.Collect(maps.Values(held)))
			}
			if inUse, earliest := slots.InUse(now); inUse != count || earliest != next {
				t.Fatalf("%d in use until %d, want %d until %d", inUse, earliest, count, next)
			}
			id := rapid.Uint64Range(0, 80).Draw(t, "id")
			if _, under := held[id]; under || rapid.IntRange(0, 9).Draw(t, "release") == 0 {
				if slots.Release(id, now) != under {
					t.Fatalf("released %v, want %v", !under, under)
				}
				delete(held, id)
				continue
			}
			deadline, most := now+rapid.Int64Range(1, 200).Draw(t, "timeout"), rapid.Int64Range(0, 60).Draw(t, "max")
			inUse, ok := slots.Hold(id, now, deadline, most)
			if ok {
				held[id] = deadline
			}
			if ok != (count < most) || inUse != int64(len(held)) {
				t.Fatalf("%d in use, %v, where %d of %d were", inUse, ok, count, most)
			}
		}
	})
}

func TestNoSlotOutlivesAClockThatWasSetBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var slots Slots
		var now, longest int64
		for id := range uint64(40) {
			now = rapid.Int64Range(-1e18, 1e18).Draw(t, "now")
			timeout := rapid.Int64Range(1, int64(time.Hour)).Draw(t, "timeout")
			if _, ok := slots.Hold(id, now, now+timeout, 40); !ok {
				t.Fatal("refused")
			}
			longest = max(longest, timeout)
		}
		slots.Hold(0, now, now+1, 0)
		if inUse, _ := slots.InUse(now + longest + clockSlack); inUse != 0 {
			t.Fatalf("%d are still held", inUse)
		}
	})
}

func TestConcurrentRequestsNeverHoldMoreThanMax(t *testing.T) {
	tests := map[string]struct {
		before, above, max int64 // above stay held of those before
		goroutines         int
		refused            bool
	}{
		"as many requests as slots are never refused": {0, 0, 8, 8, false},
		"more requests than slots":                    {0, 0, 5, 8, true},
		"more than one chunk":                         {0, 0, 40, 64, true},
		"slots above a lowered max":                   {40, 3, 5, 8, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var (
				slots             Slots
				held, refused, no atomic.Int64
				group             sync.WaitGroup
				second            = int64(time.Second)
			)
			for id := range test.before {
				slots.Hold(uint64(id), 0, second, test.before)
			}
			for id := range test.before - test.above {
				slots.Release(uint64(id), 0)
			}
			for range test.goroutines {
				group.Go(func() {
					for range 500 {
						id := uint64(1000 + no.Add(1))
						inUse, ok := slots.Hold(id, 0, second, test.max)
						if !ok {
							refused.Add(1)
							continue
						}
						if now := held.Add(1); now+test.above > test.max || inUse > test.max {
							t.Errorf("%d held and %d above, %d in use, of %d", now, test.above, inUse, test.max)
						}
						runtime.Gosched()
						held.Add(-1)
						if !slots.Release(id, 0) {
							t.Errorf("%d was not held", id)
						}
					}
				})
			}
			group.Wait()
			if inUse, _ := slots.InUse(0); inUse != test.above {
				t.Errorf("%d in use at the end", inUse)
			}
			if !test.refused && refused.Load() > 0 {
				t.Errorf("%d refused", refused.Load())
			}
			number := int64(0)
			for c := slots.first.Load(); c != nil; c = c.next.Load() {
				for i := range c.slots {
					if number++; number > max(test.before, test.max) && c.slots[i].turn.Load() > 0 {
						t.Errorf("slot %d was used", number)
					}
				}
			}
		})
	}
}
