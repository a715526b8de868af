package usagerecorder

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	testclock "k8s.io/utils/clock/testing"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

// twoBatches is a journal that a process left which was killed: an event in each of two batches, and an outcome in the
// first.
func twoBatches(t *testing.T, clock *testclock.FakeClock) (journal, writer string) {
	dir, store := t.TempDir(), newMemory()
	store.set(true, false)
	r := newRecorder(t, store, dir, clock, logr.Discard())
	r.Report(outcome("a", "1"))
	for i := range 2 {
		r.Record(event("a"))
		eventually(t, clock, "it is in the journal", func() bool { return r.backlog.length() == i+1 })
	}
	return killed(t, dir), r.journal.Writer()
}

func TestADamagedBatchIsPutAsideAndHoldsUpNoOther(t *testing.T) {
	clock := testclock.NewFakeClock(start)
	dir, writer := twoBatches(t, clock)
	first := filepath.Join(dir, writer, "1.batch")
	text, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)-1] ^= 1
	if err := os.WriteFile(first, text, 0o600); err != nil {
		t.Fatal(err)
	}
	store := newMemory()
	r := newRecorder(t, store, dir, clock, logr.Discard())
	eventually(t, clock, "the other, and the report, are stored", func() bool { return store.stored() == 2 && r.backlog.length() == 0 })
	closeRecorder(t, r)
	// Whoever can mend it has it stored, though later ones were before.
	aside := filepath.Join(dir, writer+"-1.aside")
	text[len(text)-1] ^= 1
	if err := os.WriteFile(filepath.Join(aside, "1.batch"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	next := newRecorder(t, store, dir, clock, logr.Discard())
	closeRecorder(t, next)
	if got := store.stored(); got != 2 {
		t.Errorf("%d are stored before anybody asked for it", got)
	}
	if err := os.Rename(aside, strings.TrimSuffix(aside, ".aside")); err != nil {
		t.Fatal(err)
	}
	closeRecorder(t, newRecorder(t, store, dir, clock, logr.Discard()))
	if got := store.stored(); got != 3 {
		t.Errorf("%d are stored, want 3", got)
	}
}

func TestAJournalThatCannotBeReadNowIsReadLater(t *testing.T) {
	clock := testclock.NewFakeClock(start)
	dir, writer := twoBatches(t, clock)
	first := filepath.Join(dir, writer, "1.batch")
	if err := os.Rename(first, first+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(first, 0o700); err != nil { // which is no file to read
		t.Fatal(err)
	}
	store := newMemory()
	r := newRecorder(t, store, dir, clock, logr.Discard())
	eventually(t, clock, "it was tried", func() bool { return value(t, r.metrics.failures) > 1 })
	if got := store.stored(); got != 0 {
		t.Errorf("%d are stored", got)
	}
	if err := os.Remove(first); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(first+".away", first); err != nil {
		t.Fatal(err)
	}
	eventually(t, clock, "all is stored", func() bool { return store.stored() == 3 })
}

// picky is a store that never takes in what is of one key.
type picky struct {
	*memory
	not keyid.ID
}

func (p *picky) Add(ctx context.Context, b *usage.Batch) error {
	refuse := b.Rollup.Keys[p.not] != nil
	for i := range b.Reports {
		refuse = refuse || b.Reports[i].Key == p.not
	}
	if refuse {
		return fmt.Errorf("%w: so it is", usagestore.ErrUnstorable)
	}
	return p.memory.Add(ctx, b)
}

func TestWhatTheStoreWillNeverTakeHoldsUpNothingElse(t *testing.T) {
	for name, bad := range map[string]func(*Recorder){
		"a decision": func(r *Recorder) { r.Record(event("bad")) },
		"an outcome": func(r *Recorder) { r.Report(outcome("bad", "1")) },
	} {
		t.Run(name, func(t *testing.T) {
			store, clock, dir := &picky{newMemory(), keyid.Derive("bad")}, testclock.NewFakeClock(start), t.TempDir()
			store.set(true, false)
			r := newRecorder(t, store, dir, clock, logr.Discard())
			for i := range 5 {
				if i == 2 {
					bad(r)
				}
				r.Record(event("a"))
				r.Report(outcome("a", fmt.Sprint(i)))
				counted := r.metrics.events
				before := value(t, counted)
				eventually(t, clock, "it is counted", func() bool { return value(t, counted) > before })
			}
			store.set(false, false)
			eventually(t, clock, "the others are stored", func() bool { return r.backlog.length() == 0 })
			if got := store.stored(); got != 8 {
				t.Errorf("%d are stored, want 8 of the 10 in the other batches", got)
			}
			if found, err := filepath.Glob(filepath.Join(dir, "*.aside", "*")); err != nil || len(found) == 0 {
				t.Errorf("put aside are %v, %v", found, err)
			}
			r.Record(event("a"))
			eventually(t, clock, "it goes on", func() bool { return store.stored() == 9 })
		})
	}
}

func TestReportsThatAreReadAreHeldToWhatOthersAre(t *testing.T) {
	clock, dir, store := testclock.NewFakeClock(start), t.TempDir(), newMemory()
	store.set(true, false)
	r := newRecorder(t, store, dir, clock, logr.Discard())
	const reports = maxDetails + 100
	for i := range reports {
		e := outcome("a", fmt.Sprint(i))
		e.Domain = fmt.Sprint(i)
		r.Report(e)
	}
	left := killed(t, dir) // before they were counted
	store.set(false, false)
	closeRecorder(t, newRecorder(t, store, left, clock, logr.Discard()))
	if store.stored() != reports || store.counts.Lines() != maxDetails+1 {
		t.Errorf("%d are stored, told apart as %d", store.stored(), store.counts.Lines())
	}
}
