package usagerecorder

import (
	"context"
	"errors"
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
)

var start = time.Date(2026, time.November, 21, 10, 30, 0, 0, time.UTC)

// memory is a store that can be made to fail.
type memory struct {
	mu     sync.Mutex
	counts *usage.Rollup
	down   bool
	added  chan struct{} // one for each attempt, where somebody listens
}

func newMemory() *memory {
	return &memory{counts: usage.NewRollup(), added: make(chan struct{}, 1000)}
}

func (m *memory) Add(_ context.Context, rollup *usage.Rollup) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() { m.added <- struct{}{} }()
	if m.down {
		return errors.New("the disk is full")
	}
	m.counts.Merge(rollup)
	return nil
}

func (m *memory) setDown(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

func (m *memory) stored() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return requests(m.counts)
}

func event(key string) usage.Event {
	return usage.Event{Key: keyid.Derive(key), Workspace: "team/shop", At: start, Code: "VALID", Remaining: usage.NoLimit, BudgetRemaining: usage.NoLimit}
}

func value(t *testing.T, metric prometheus.Metric) float64 {
	t.Helper()
	var out dto.Metric
	if err := metric.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.GetCounter().GetValue()
}

func newRecorder(t *testing.T, store Store, clock clock.WithTicker, log logr.Logger) *Recorder {
	t.Helper()
	r, err := New(store, clock, prometheus.NewRegistry(), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(context.Background()) }) //nolint:errcheck // most tests closed it
	return r
}

// tick lets the next flush come due, once the recorder waits for it.
func tick(clock *testclock.FakeClock) {
	for !clock.HasWaiters() {
		time.Sleep(time.Millisecond)
	}
	clock.Step(flushEvery)
}

func TestCloseStoresAllThatManyRequestsRecorded(t *testing.T) {
	store := newMemory()
	r := newRecorder(t, store, clock.RealClock{}, logr.Discard())
	var requests sync.WaitGroup
	for _, key := range []string{"a", "b", "c", "d"} {
		requests.Go(func() {
			for range 5000 {
				r.Record(event(key))
			}
		})
	}
	requests.Wait()
	if err := r.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := store.stored() + int64(value(t, r.metrics.dropped)); got != 20_000 || value(t, r.metrics.dropped) > 0 {
		t.Errorf("%d events are accounted for, %v of them as dropped; want 20000, none dropped", got, value(t, r.metrics.dropped))
	}
}

func TestWhatWasRecordedIsStoredWithTheNextFlush(t *testing.T) {
	store, clock := newMemory(), testclock.NewFakeClock(start)
	r := newRecorder(t, store, clock, logr.Discard())
	for range 3 {
		r.Record(event("a"))
	}
	for store.stored() < 3 {
		tick(clock)
		time.Sleep(time.Millisecond)
	}
	if got := store.stored(); got != 3 {
		t.Errorf("%d requests stored, want 3", got)
	}
}

func TestAnOutageOfTheStoreLosesNothingAndIsToldOnce(t *testing.T) {
	store, clock := newMemory(), testclock.NewFakeClock(start)
	var mu sync.Mutex
	var lines []string
	log := funcr.New(func(_, args string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, args)
	}, funcr.Options{})
	r := newRecorder(t, store, clock, log)
	store.setDown(true)
	const outages = 4
	for range outages {
		r.Record(event("a"))
		awaitAttempt(clock, store)
	}
	if got := value(t, r.metrics.failures); got < outages {
		t.Errorf("%v failures counted, want at least %d", got, outages)
	}
	store.setDown(false)
	r.Record(event("b"))
	for store.stored() < outages+1 {
		awaitAttempt(clock, store)
	}
	if err := r.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := store.stored(); got != outages+1 {
		t.Errorf("%d requests stored, want %d", got, outages+1)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(lines) != 2 || !strings.Contains(lines[0], "cannot be stored") || !strings.Contains(lines[1], "stored again") {
		t.Errorf("the log reads %q, want one line for the beginning and one for the end", lines)
	}
}

// awaitAttempt ticks until the recorder has tried once more to store something.
func awaitAttempt(clock *testclock.FakeClock, store *memory) {
	for {
		tick(clock)
		select {
		case <-store.added:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

func TestAFullQueueDropsAndCountsInsteadOfWaiting(t *testing.T) {
	// Nobody collects: the queue stays as full as it gets.
	r := build(newMemory(), clock.RealClock{}, logr.Discard())
	for range queueSize + 10 {
		r.Record(event("a"))
	}
	if got := value(t, r.metrics.dropped); got != 10 {
		t.Errorf("%v events dropped, want 10", got)
	}
}

// stuck is a store that answers only when it is told to give up.
type stuck struct{ entered chan struct{} }

func (s stuck) Add(ctx context.Context, _ *usage.Rollup) error {
	s.entered <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

func TestAStoreThatHangsHoldsUpNeitherRequestsNorTheEnd(t *testing.T) {
	store, clock := stuck{entered: make(chan struct{}, 10)}, testclock.NewFakeClock(start)
	r := newRecorder(t, store, clock, logr.Discard())
	r.Record(event("a"))
	for flushing := false; !flushing; {
		tick(clock)
		select {
		case <-store.entered:
			flushing = true
		case <-time.After(time.Millisecond):
		}
	}
	for range 100 {
		r.Record(event("b"))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	err := r.Close(ctx)
	if err == nil || !strings.Contains(err.Error(), "101 requests by 2 keys") {
		t.Errorf("closing: %v; want an error that says what is lost", err)
	}
}

func TestWhatIsRecordedAfterTheEndCountsAsDropped(t *testing.T) {
	r := newRecorder(t, newMemory(), clock.RealClock{}, logr.Discard())
	if err := r.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.Record(event("a"))
	if got := value(t, r.metrics.dropped); got != 1 {
		t.Errorf("%v events dropped, want 1", got)
	}
}
