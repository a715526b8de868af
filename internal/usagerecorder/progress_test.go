package usagerecorder

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
	testclock "k8s.io/utils/clock/testing"

	"github.com/claviger-dev/claviger/internal/usage"
)

// stuckDisk is a recorder that counts, and whose journal takes nothing until the function is called.
func stuckDisk(t *testing.T, store *memory, clock clock.WithTicker) (r *Recorder, release func()) {
	r = build(Options{Store: store, Journal: openJournal(t, t.TempDir()), Clock: clock, Log: logr.Discard()})
	r.reachedUntil(clock.Now())
	r.running.Go(r.collect)
	return r, func() {
		r.running.Go(r.keep)
		r.running.Go(r.storeAll)
	}
}

func TestWhatNothingWaitsForIsCountedUntilJustNow(t *testing.T) {
	clock := testclock.NewFakeClock(start)
	r := newRecorder(t, newMemory(), t.TempDir(), clock, logr.Discard())
	if got := r.CountedUntil(); got.After(start) || got.Before(start.Add(-2*onTheWay)) {
		t.Errorf("at the beginning all is counted until %v, want about %v", got, start)
	}
	eventually(t, clock, "time goes on", func() bool { return r.CountedUntil().After(start.Add(time.Minute)) })
	if got := r.CountedUntil(); !got.Before(clock.Now()) {
		t.Errorf("all is counted until %v, and it is %v", got, clock.Now())
	}
}

func TestWhatADiskOrAStoreDoesNotTakeIsNotCounted(t *testing.T) {
	store, clock := newMemory(), testclock.NewFakeClock(start)
	store.set(true, false)
	r, release := stuckDisk(t, store, clock)
	holds := func(when string) {
		t.Helper()
		for range 20 {
			tick(clock)
			if got := r.CountedUntil(); got.After(start) {
				t.Fatalf("%s all is counted until %v, though what came after %v is not stored", when, got, start)
			}
			r.Record(event("b"))
		}
	}
	r.Record(event("a"))
	holds("while the disk takes nothing")
	release()
	holds("while the store is away")
	store.set(false, false)
	recorded := clock.Now()
	eventually(t, clock, "all is known to be stored", func() bool { return r.CountedUntil().After(recorded) })
	if got := store.stored(); got != 41 {
		t.Errorf("%d events are stored, want 41", got)
	}
	closeRecorder(t, r)
}

func TestABatchIsAsOldAsWhatWasRecordedWhileTheOneBeforeHungOnTheDisk(t *testing.T) {
	clock := testclock.NewFakeClock(start)
	r, _ := stuckDisk(t, newMemory(), clock)
	next := func() counted {
		for len(r.cut) == 0 {
			tick(clock)
		}
		return <-r.cut
	}
	r.Record(event("a"))
	next()
	tick(clock)
	recorded := clock.Now()
	r.Record(event("b"))
	for range 20 {
		tick(clock)
	}
	r.kept <- struct{}{} // the first one has come through
	if b := next(); b.at.After(recorded) || b.at.Before(start) {
		t.Errorf("the second batch is from %v, and what is in it from %v", b.at, recorded)
	}
	close(r.closing)
	r.running.Wait()
}

func TestWhatAnEarlierProcessLeftIsNotCountedUntilItIsStored(t *testing.T) {
	store, clock, dir := newMemory(), testclock.NewFakeClock(start), t.TempDir()
	store.set(true, false)
	earlier := newRecorder(t, store, dir, clock, logr.Discard())
	earlier.Record(event("a"))
	closeRecorder(t, earlier)
	r := newRecorder(t, store, dir, clock, logr.Discard())
	for range 10 {
		if got := r.CountedUntil(); !got.IsZero() {
			t.Fatalf("all is counted until %v, though nobody knows from when what was left is", got)
		}
		tick(clock)
	}
	if !slices.Equal(r.Continues(), []string{earlier.Name()}) || r.Name() == earlier.Name() {
		t.Errorf("%s goes on with %v, want %s", r.Name(), r.Continues(), earlier.Name())
	}
	store.set(false, false)
	eventually(t, clock, "it is stored", func() bool { return !r.CountedUntil().IsZero() })
	if store.stored() != 1 {
		t.Errorf("%d events are stored, want that of before", store.stored())
	}
	closeRecorder(t, r)
}

// slow is a store that takes its time.
type slow struct{ *memory }

func (s slow) Add(ctx context.Context, b *usage.Batch) error {
	time.Sleep(time.Duration(eventsIn(b.Rollup)%7) * 10 * time.Millisecond)
	return s.memory.Add(ctx, b)
}

func TestAllThatWasRecordedUntilThenIsStored(t *testing.T) {
	store := slow{newMemory()}
	r := newRecorder(t, store, t.TempDir(), clock.RealClock{}, logr.Discard())
	var recorded []time.Time
	checked := 0
	for begin := time.Now(); time.Since(begin) < 3*time.Second; time.Sleep(time.Millisecond) {
		r.Record(event("a"))
		recorded = append(recorded, time.Now())
		until := r.CountedUntil().Add(onTheWay) // nothing is on its way here
		n, _ := slices.BinarySearchFunc(recorded, until, time.Time.Compare)
		if stored := store.stored(); stored < int64(n) {
			t.Fatalf("%d events were recorded until %v, and %d are stored", n, until, stored)
		}
		checked = max(checked, n)
	}
	if checked == 0 {
		t.Error("it never told that anything was counted")
	}
	closeRecorder(t, r)
}
