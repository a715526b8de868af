package usage

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/internal/usagefeed"
)

var start = time.Date(2026, time.November, 21, 10, 30, 0, 0, time.UTC)

func key(id string, requests int64) news {
	return ofKey{usagefeed.Key{ID: id, Total: usagefeed.Counts{Requests: requests}}}
}

// requests is how many a key that is to be written has had.
func (e *entry) requests() int64 { return e.news.(ofKey).Total.Requests }

func noJitter() time.Duration { return 0 }

// unlimited is more than any test writes.
const unlimited = 1e9

// drain writes all that may be written now and returns whose usage that was.
func drain(s *schedule, now time.Time) (ids []string) {
	for {
		e, _ := s.next(now)
		if e == nil {
			return ids
		}
		s.written(e.news.id(), now)
		ids = append(ids, e.news.id())
		now = now.Add(time.Microsecond)
	}
}

func TestTheFirstUseOfAKeyIsWrittenAtOnce(t *testing.T) {
	s := newSchedule(unlimited, noJitter)
	s.observe(key("a", 1), time.Time{}, start)
	if got := drain(s, start); !slices.Equal(got, []string{"a"}) {
		t.Errorf("written: %v, want a", got)
	}
}

func TestABusyKeyIsWrittenOnceAMinuteWithItsNewestUsage(t *testing.T) {
	s := newSchedule(unlimited, noJitter)
	var writes []string
	for second := range 180 {
		now := start.Add(time.Duration(second) * time.Second)
		s.observe(key("a", int64(second)), start, now)
		if e, _ := s.next(now); e != nil {
			s.written("a", now)
			writes = append(writes, fmt.Sprintf("%d at %ds", e.requests(), second))
		}
	}
	if want := []string{"0 at 0s", "60 at 60s", "120 at 120s"}; !slices.Equal(writes, want) {
		t.Errorf("written: %v, want %v", writes, want)
	}
}

func TestAnIdleKeyIsNotWritten(t *testing.T) {
	s := newSchedule(unlimited, noJitter)
	s.observe(key("a", 1), time.Time{}, start)
	drain(s, start)
	if e, wait := s.next(start.Add(time.Hour)); e != nil || wait != forever {
		t.Errorf("an hour later %v is to be written, or something in %v", e, wait)
	}
}

func TestAKeyThatChangesWhileItIsWrittenWaitsItsMinute(t *testing.T) {
	s := newSchedule(unlimited, noJitter)
	s.observe(key("a", 1), time.Time{}, start)
	e, _ := s.next(start)
	s.observe(key("a", 2), time.Time{}, start)
	s.written(e.news.id(), start)
	if e, wait := s.next(start.Add(time.Second)); e != nil || wait != writeEvery-time.Second {
		t.Fatalf("after a second %v is to be written, or something in %v", e, wait)
	}
	if e, _ := s.next(start.Add(writeEvery)); e == nil || e.requests() != 2 {
		t.Errorf("after a minute %v is written, want 2 requests", e)
	}
}

func TestTheMostStaleStatusIsWrittenFirst(t *testing.T) {
	s := newSchedule(unlimited, noJitter)
	s.observe(key("minutes", 1), start.Add(-5*time.Minute), start)
	s.observe(key("seconds", 1), start.Add(-time.Second), start)
	s.observe(key("never-1", 1), time.Time{}, start)
	s.observe(key("days", 1), start.Add(-48*time.Hour), start)
	s.observe(key("never-2", 1), time.Time{}, start)
	want := []string{"never-1", "never-2", "days", "minutes", "seconds"}
	if got := drain(s, start); !slices.Equal(got, want) {
		t.Errorf("written in the order %v, want %v", got, want)
	}
}

func TestTheBudgetHoldsForAllKeysTogether(t *testing.T) {
	s := newSchedule(20, noJitter)
	for i := range 1000 {
		s.observe(key(fmt.Sprint(i), 1), time.Time{}, start)
	}
	writes := 0
	for now := start; now.Before(start.Add(10 * time.Second)); {
		e, wait := s.next(now)
		if e != nil {
			writes++
			s.written(e.news.id(), now)
		}
		now = now.Add(wait)
	}
	if writes < 199 || writes > 201 {
		t.Errorf("%d writes in 10 seconds, want 200", writes)
	}
}

func TestAfterAFailureNothingIsWrittenUntilItResumes(t *testing.T) {
	s := newSchedule(unlimited, noJitter)
	s.observe(key("a", 1), time.Time{}, start)
	e, _ := s.next(start)
	s.observe(key("b", 1), time.Time{}, start)
	s.pause(start.Add(8 * time.Second))
	s.again(e, start, start.Add(8*time.Second))
	if e, wait := s.next(start.Add(time.Second)); e != nil || wait != 7*time.Second {
		t.Fatalf("during the pause %v is to be written, or something in %v", e, wait)
	}
	if got := drain(s, start.Add(8*time.Second)); !slices.Equal(got, []string{"b", "a"}) {
		t.Errorf("written afterwards: %v, want b, which did not fail, and then a", got)
	}
}

func TestAKeyThatFailsAloneHoldsUpNobody(t *testing.T) {
	s := newSchedule(unlimited, noJitter)
	s.observe(key("a", 1), time.Time{}, start)
	e, _ := s.next(start)
	s.observe(key("b", 1), start.Add(-time.Second), start)
	s.again(e, start, start.Add(time.Second))
	if got := drain(s, start.Add(time.Millisecond)); !slices.Equal(got, []string{"b"}) {
		t.Errorf("written at once: %v, want b", got)
	}
	if got := drain(s, start.Add(time.Second)); !slices.Equal(got, []string{"a"}) {
		t.Errorf("written after a second: %v, want a", got)
	}
}

func TestAFailedWriteDoesNotPutOldUsageOverNewer(t *testing.T) {
	s := newSchedule(unlimited, noJitter)
	s.observe(key("a", 1), time.Time{}, start)
	e, _ := s.next(start)
	s.observe(key("a", 2), time.Time{}, start)
	s.again(e, start, start)
	if e, _ := s.next(start.Add(time.Millisecond)); e == nil || e.requests() != 2 {
		t.Errorf("%v is written, want 2 requests", e)
	}
}

func TestAKeyThatFailsWaitsEvenIfItIsUsedMeanwhile(t *testing.T) {
	s := newSchedule(unlimited, noJitter)
	s.observe(key("a", 1), time.Time{}, start)
	e, _ := s.next(start)
	s.observe(key("a", 2), time.Time{}, start)
	s.observe(key("b", 1), start.Add(-time.Second), start)
	s.again(e, start, start.Add(time.Minute))
	if got := drain(s, start.Add(time.Second)); !slices.Equal(got, []string{"b"}) {
		t.Errorf("written at once: %v, want b", got)
	}
	if e, _ := s.next(start.Add(time.Minute)); e == nil || e.requests() != 2 {
		t.Errorf("after a minute %v is written, want 2 requests", e)
	}
	if len(s.pending)+s.ready.Len()+s.waiting.Len() != 0 {
		t.Error("something is left of a key that was taken out")
	}
}

func TestWhatWaitsIsRenewedThoughTheStatusShowsTheNewestByNow(t *testing.T) {
	s := newSchedule(unlimited, noJitter)
	s.observe(key("a", 1), time.Time{}, start)
	if !s.renew(key("a", 2)) || s.renew(key("b", 1)) {
		t.Error("a waits, and b does not")
	}
	if e, _ := s.next(start); e == nil || e.requests() != 2 {
		t.Errorf("%v is written, want 2 requests", e)
	}
	if e, wait := s.next(start.Add(time.Second)); e != nil || wait != forever {
		t.Errorf("then %v is written, or something in %v", e, wait)
	}
}

func TestMemoryFollowsTheKeysInUse(t *testing.T) {
	s := newSchedule(unlimited, noJitter)
	for i := range 100 {
		s.observe(key(fmt.Sprint(i), 1), time.Time{}, start)
	}
	drain(s, start)
	s.forget(start.Add(2 * writeEvery))
	if got := len(s.mayWrite) + len(s.pending) + s.ready.Len() + s.waiting.Len(); got != 0 {
		t.Errorf("%d entries are left of keys that are idle", got)
	}
}

// Whatever is observed in whatever order: what is written last of a key is the last that was
// observed, no key is written twice within a minute, and the budget holds.
func TestEveryScheduleEndsWithTheNewestUsageOfEachKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const perSecond = 2
		s := newSchedule(perSecond, func() time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(writeJitter)).Draw(t, "jitter"))
		})
		observed, shown := map[string]int64{}, map[string]int64{}
		last := map[string]time.Time{}
		now, writes := start, 0
		write := func() (wait time.Duration) {
			e, wait := s.next(now)
			if e == nil {
				return wait
			}
			if since := now.Sub(last[e.news.id()]); since < writeEvery {
				t.Fatalf("%s is written again after %v", e.news.id(), since)
			}
			last[e.news.id()], shown[e.news.id()] = now, e.requests()
			writes++
			s.written(e.news.id(), now)
			return 0
		}
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "pause")))
			id := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "key")
			observed[id] = int64(i)
			s.observe(key(id, int64(i)), last[id], now)
			if rapid.Bool().Draw(t, "write") {
				write()
			}
		}
		for wait := write(); wait != forever; wait = write() {
			now = now.Add(wait)
		}
		for id, want := range observed {
			if shown[id] != want {
				t.Errorf("%s shows %d, want %d", id, shown[id], want)
			}
		}
		// The limiter rounds to parts of a microsecond.
		elapsed := now.Sub(start) + time.Millisecond
		if most := int(elapsed.Seconds()*perSecond) + 1; writes > most {
			t.Errorf("%d writes in %v, want at most %d", writes, now.Sub(start), most)
		}
	})
}
