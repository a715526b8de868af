package usagerecorder

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/utils/clock"
	testclock "k8s.io/utils/clock/testing"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagejournal"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

var start = time.Date(2026, time.November, 21, 10, 30, 0, 0, time.UTC)

// memory is a store that can be made to fail.
type memory struct {
	mu      sync.Mutex
	counts  *usage.Rollup
	lines   int
	reports map[string]bool
	last    map[string]int64
	down    bool
	// mute says that what is added is taken in, and nobody is told.
	mute  bool
	added chan struct{} // one for each attempt, where somebody listens
}

func newMemory() *memory {
	return &memory{counts: usage.NewRollup(), reports: map[string]bool{}, last: map[string]int64{}, added: make(chan struct{}, 1000)}
}

var errAway = errors.New("the database is away")

func (m *memory) Add(_ context.Context, b *usage.Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() {
		select {
		case m.added <- struct{}{}:
		default:
		}
	}()
	if m.down {
		return errAway
	}
	if b.First <= m.last[b.Writer] {
		return errors.New("a number was stored twice")
	}
	m.last[b.Writer] = b.Last
	rollup, lines := b.Settle(func(i int) bool {
		name := b.Reports[i].Key.String() + b.Reports[i].RequestID
		defer func() { m.reports[name] = true }()
		return !m.reports[name]
	})
	m.counts.Merge(rollup)
	m.lines += len(lines)
	if m.mute {
		return errAway
	}
	return nil
}

func (m *memory) Stored(_ context.Context, writer string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return 0, errAway
	}
	return m.last[writer], nil
}

func (m *memory) set(down, mute bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down, m.mute = down, mute
}

func (m *memory) stored() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return eventsIn(m.counts)
}

func eventsIn(r *usage.Rollup) (sum int64) {
	for c := range r.All() {
		sum += c.Count
	}
	return sum
}

func event(key string) usage.Event {
	return usage.Event{
		Key: keyid.Derive(key), Attribution: usage.Attribution{Workspace: "team/shop"}, At: start,
		Remaining: usage.NoLimit, BudgetRemaining: usage.NoLimit,
	}
}

func outcome(key, request string) usage.Event {
	e := event(key)
	e.Status, e.RequestID, e.SpendMicrocents = usage.Succeeded, request, 7
	return e
}

func value(t testing.TB, metric prometheus.Metric) float64 {
	t.Helper()
	var out dto.Metric
	if err := metric.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.GetCounter().GetValue()
}

func openJournal(t testing.TB, dir string) *usagejournal.Journal {
	t.Helper()
	journal, err := usagejournal.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return journal
}

func newRecorder(t testing.TB, store usagestore.Writer, dir string, clock clock.WithTicker, log logr.Logger) *Recorder {
	t.Helper()
	r, err := New(Options{Store: store, Journal: openJournal(t, dir), Clock: clock, Registerer: prometheus.NewRegistry(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(context.Background()) }) //nolint:errcheck // most tests closed it
	return r
}

func closeRecorder(t testing.TB, r *Recorder) {
	t.Helper()
	if err := r.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// tick lets the next flush come due, once the recorder waits for it, and whatever is to be tried again be tried.
func tick(clock *testclock.FakeClock) {
	for !clock.HasWaiters() {
		time.Sleep(time.Millisecond)
	}
	clock.Step(slowestRetry)
	time.Sleep(time.Millisecond)
}

// eventually ticks until something holds.
func eventually(t testing.TB, clock *testclock.FakeClock, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); tick(clock) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came about that %s", what)
		}
	}
}

func TestCloseStoresAllThatManyRequestsRecorded(t *testing.T) {
	store := newMemory()
	r := newRecorder(t, store, t.TempDir(), clock.RealClock{}, logr.Discard())
	var requests sync.WaitGroup
	for _, key := range []string{"a", "b", "c", "d"} {
		requests.Go(func() {
			for range 5000 {
				r.Record(event(key))
			}
		})
	}
	requests.Wait()
	closeRecorder(t, r)
	if got := store.stored() + int64(value(t, r.metrics.dropped)); got != 20_000 || value(t, r.metrics.dropped) > 0 {
		t.Errorf("%d events are accounted for, %v of them as dropped; want 20000, none dropped", got, value(t, r.metrics.dropped))
	}
}

func TestWhatWasRecordedIsStoredWithTheNextFlush(t *testing.T) {
	store, clock := newMemory(), testclock.NewFakeClock(start)
	dir := t.TempDir()
	r := newRecorder(t, store, dir, clock, logr.Discard())
	logged := event("a")
	logged.KeepLine = time.Hour
	for range 3 {
		r.Record(logged)
	}
	r.Report(outcome("a", "1"))
	r.Report(outcome("a", "1"))
	eventually(t, clock, "all is stored", func() bool { return store.stored() == 4 })
	if store.lines != 3 {
		t.Errorf("%d lines in the log, want 3", store.lines)
	}
	closeRecorder(t, r)
	if files := filesIn(t, dir); len(files) != 1 {
		t.Errorf("the journal has %v, want its lock alone", files)
	}
}

// filesIn are the files in a directory, by their names below it.
func filesIn(t testing.TB, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, strings.TrimPrefix(path, dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestAnOutageOfTheStoreLosesNothingAndIsToldOnce(t *testing.T) {
	for name, mute := range map[string]bool{"where it is away": false, "where only its answers are lost": true} {
		t.Run(name, func(t *testing.T) {
			store, clock := newMemory(), testclock.NewFakeClock(start)
			var mu sync.Mutex
			var lines []string
			log := funcr.New(func(_, args string) {
				mu.Lock()
				defer mu.Unlock()
				lines = append(lines, args)
			}, funcr.Options{})
			r := newRecorder(t, store, t.TempDir(), clock, log)
			store.set(!mute, mute)
			const outages = 4
			for i := range outages {
				r.Record(event("a"))
				r.Report(outcome("a", string(rune('a'+i))))
				eventually(t, clock, "it was tried", func() bool { return value(t, r.metrics.failures) > float64(i) || store.stored() == int64(2*i+2) })
			}
			store.set(false, false)
			r.Record(event("b"))
			eventually(t, clock, "all is stored", func() bool { return store.stored() == 2*outages+1 })
			closeRecorder(t, r)
			mu.Lock()
			defer mu.Unlock()
			if len(lines) < 2 || !mute && len(lines) != 2 || !strings.Contains(lines[0], "cannot be stored") || !strings.Contains(lines[len(lines)-1], "stored again") {
				t.Errorf("the log reads %q, want one line for the beginning and one for the end", lines)
			}
		})
	}
}

func TestAFullQueueDropsAndCountsInsteadOfWaiting(t *testing.T) {
	// Nobody collects: the queue stays as full as it gets.
	r := build(Options{Store: newMemory(), Clock: clock.RealClock{}, Log: logr.Discard()})
	const events = 2 * queueSize
	for range events {
		r.Record(event("a"))
	}
	held := 0
	for r.queue.drain(func(*usage.Event) { held++ }) {
	}
	if dropped := value(t, r.metrics.dropped); held < queueSize || float64(held)+dropped != events {
		t.Errorf("of %d events %d were held and %v dropped", events, held, dropped)
	}
}

// stuck is a store that answers only when it is told to give up.
type stuck struct{ entered chan struct{} }

func (s stuck) Add(ctx context.Context, _ *usage.Batch) error {
	s.entered <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

func (s stuck) Stored(ctx context.Context, _ string) (int64, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

func TestAStoreThatHangsHoldsUpNeitherRequestsNorTheEndAndLosesNothing(t *testing.T) {
	hanging, clock, dir := stuck{entered: make(chan struct{}, 10)}, testclock.NewFakeClock(start), t.TempDir()
	r := newRecorder(t, hanging, dir, clock, logr.Discard())
	r.Record(event("a"))
	eventually(t, clock, "the store hangs", func() bool { return len(hanging.entered) > 0 })
	for range 100 {
		r.Record(event("b"))
	}
	r.Report(outcome("b", "1"))
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := r.Close(ctx); err != nil {
		t.Errorf("closing: %v, though all of it is in the journal", err)
	}
	store := newMemory()
	next := newRecorder(t, store, dir, clock, logr.Discard())
	eventually(t, clock, "the next process stores it", func() bool { return store.stored() == 102 })
	closeRecorder(t, next)
	if files := filesIn(t, dir); len(files) != 1 {
		t.Errorf("the journal still has %v", files)
	}
}

func TestWhatIsRecordedAfterTheEndCountsAsDropped(t *testing.T) {
	r := newRecorder(t, newMemory(), t.TempDir(), clock.RealClock{}, logr.Discard())
	closeRecorder(t, r)
	r.Record(event("a"))
	r.Report(outcome("a", "1"))
	if got := value(t, r.metrics.dropped); got != 2 {
		t.Errorf("%v events dropped, want 2", got)
	}
}
