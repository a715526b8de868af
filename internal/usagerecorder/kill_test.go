package usagerecorder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	testclock "k8s.io/utils/clock/testing"
	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/internal/usage"
)

// killed is what a process leaves behind that is killed now: what is on its disk.
func killed(t testing.TB, dir string) (left string) {
	t.Helper()
	for {
		left = t.TempDir()
		err := os.CopyFS(left, os.DirFS(dir))
		if err == nil {
			return left
		}
		if !errors.Is(err, os.ErrNotExist) { // which is a batch that was just removed
			t.Fatal(err)
		}
	}
}

func TestAReportThatWasTakenOutlivesTheProcess(t *testing.T) {
	clock, dir := testclock.NewFakeClock(start), t.TempDir()
	r := newRecorder(t, newMemory(), dir, clock, logr.Discard())
	r.Report(outcome("a", "1"))
	left := killed(t, dir)

	store := newMemory()
	next := newRecorder(t, store, left, clock, logr.Discard())
	eventually(t, clock, "the report is stored", func() bool { return store.stored() == 1 })
	closeRecorder(t, next)
	for c := range store.counts.All() {
		if c.Status != usage.Succeeded || c.SpendMicrocents != 7 {
			t.Errorf("stored is %+v", c)
		}
	}
}

// Whenever it is killed, and whatever its store did: what was flushed is counted once, and so is each report.
func TestNothingIsCountedTwiceOrLostOverManyLives(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		store, clock, dir := newMemory(), testclock.NewFakeClock(start), t.TempDir()
		decisions, reports := int64(0), int64(0)
		for life := range rapid.IntRange(1, 3).Draw(rt, "lives") {
			r, recorded := newRecorder(t, store, dir, clock, logr.Discard()), 0.0
			for step := range rapid.IntRange(0, 3).Draw(rt, "steps") {
				store.set(rapid.Bool().Draw(rt, "down"), rapid.Bool().Draw(rt, "mute"))
				for range rapid.IntRange(0, 3).Draw(rt, "decisions") {
					r.Record(event("a"))
					decisions++
					recorded++
				}
				if rapid.Bool().Draw(rt, "report") {
					r.Report(outcome("a", fmt.Sprint(life, step)))
					reports++
					recorded++
				}
				eventually(t, clock, "all of it is in the journal, or stored", func() bool {
					return value(t, r.metrics.events) == recorded
				})
			}
			store.set(true, false) // the killed one stores no more
			dir = killed(t, dir)
			r.abort()
		}
		store.set(false, false)
		last := newRecorder(t, store, dir, clock, logr.Discard())
		eventually(t, clock, "all is stored", func() bool { return last.backlog.length() == 0 })
		closeRecorder(t, last)
		if got := store.stored(); got != decisions+reports {
			rt.Fatalf("%d decisions and %d reports were stored as %d", decisions, reports, got)
		}
	})
}

func TestAFullDiskKeepsCountsInMemoryAndGivesUpLinesOnly(t *testing.T) {
	store, clock, dir := newMemory(), testclock.NewFakeClock(start), t.TempDir()
	store.set(true, false)
	r := newRecorder(t, store, dir, clock, logr.Discard())
	if err := os.RemoveAll(filepath.Join(dir, r.journal.Writer())); err != nil {
		t.Fatal(err)
	}
	e := event("a")
	e.KeepLine = time.Hour
	const events = maxInMemory + maxInMemory/2
	for i := range events {
		r.Record(e)
		if i%(queueSize/4) == 0 {
			eventually(t, clock, "there is room", func() bool { return value(t, r.metrics.events) >= float64(i) })
		}
	}
	r.Report(outcome("a", "1"))
	eventually(t, clock, "all is counted", func() bool { return value(t, r.metrics.events) == events+1 })
	if value(t, r.metrics.journalFailures) == 0 {
		t.Error("no failure of the journal is counted")
	}
	eventually(t, clock, "lines are given up", func() bool { return value(t, r.metrics.linesDropped) > 0 })
	store.set(false, false)
	eventually(t, clock, "all is stored", func() bool { return store.stored() == events+1 })
	closeRecorder(t, r)
	if got := store.lines + int(value(t, r.metrics.linesDropped)); got != events || store.lines == 0 {
		t.Errorf("of %d lines %d are stored and %v dropped", events, store.lines, value(t, r.metrics.linesDropped))
	}
}

func TestWhatCanNeitherBeStoredNorWrittenIsToldAtTheEnd(t *testing.T) {
	store, clock, dir := newMemory(), testclock.NewFakeClock(start), t.TempDir()
	store.set(true, false)
	r := newRecorder(t, store, dir, clock, logr.Discard())
	if err := os.RemoveAll(filepath.Join(dir, r.journal.Writer())); err != nil {
		t.Fatal(err)
	}
	r.Record(event("a"))
	if err := r.Close(context.Background()); err == nil {
		t.Error("closing told of no loss")
	}
}
