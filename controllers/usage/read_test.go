package usage

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	testclock "k8s.io/utils/clock/testing"

	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// lines is a log.
type lines struct {
	mu   sync.Mutex
	list []string
}

func (l *lines) logger() logr.Logger {
	return funcr.New(func(_, args string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.list = append(l.list, args)
	}, funcr.Options{})
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.list...)
}

// newReader is a WriteBack that reads and does not write.
func newReader(f *feed, log *lines, clock *testclock.FakeClock) *WriteBack {
	w := &WriteBack{
		log: log.logger(), clock: clock, interval: 10 * time.Second, metrics: newMetrics(),
		schedule: newSchedule(unlimited, noJitter), observed: make(chan struct{}, 1), known: newKnown(), verifiers: prompt(),
	}
	w.keys.read, w.limits.read, w.groups.read = f.keys, f.limits, f.groups
	return w
}

func TestAVerifierThatIsAwayIsToldOnceAndReadWhenItIsBack(t *testing.T) {
	var away atomic.Bool
	var asked atomic.Int64
	away.Store(true)
	clock := testclock.NewFakeClock(start)
	log := &lines{}
	w := newReader(verifier(t, "token", func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		if away.Load() {
			http.Error(w, "away", http.StatusBadGateway)
			return
		}
		writePage(w, usagefeed.Page{Epoch: "e"})
	}), log, clock)
	ctx, cancel := context.WithCancel(context.Background())
	var reading sync.WaitGroup
	reading.Go(func() { w.readAll(ctx) })
	passUntil := func(enough func() bool) {
		for !enough() {
			clock.Step(time.Minute)
			time.Sleep(time.Millisecond)
		}
	}
	passUntil(func() bool { return asked.Load() >= 5 })
	away.Store(false)
	passUntil(func() bool { return len(log.all()) > 1 })
	cancel()
	reading.Wait()
	if got := log.all(); len(got) != 2 || !strings.Contains(got[0], "cannot be read") || !strings.Contains(got[1], "again") {
		t.Errorf("the log reads %q, want one line for the beginning and one for the end", got)
	}
}

func TestAVerifierWithoutFeedsOfLimitsAndGroupsHasItsKeysReadAllTheSame(t *testing.T) {
	var asked atomic.Int64
	clock, log := testclock.NewFakeClock(start), &lines{}
	w := newReader(verifier(t, "token", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != usagefeed.Path {
			http.NotFound(w, r)
			return
		}
		asked.Add(1)
		writePage(w, usagefeed.Page{Epoch: "e"})
	}), log, clock)
	ctx, cancel := context.WithCancel(context.Background())
	var reading sync.WaitGroup
	reading.Go(func() { w.readAll(ctx) })
	for round := range int64(20) {
		// Each read is followed by the same pause, however often that of the limits has failed.
		for asked.Load() <= round || !clock.HasWaiters() {
			time.Sleep(time.Millisecond)
		}
		clock.Step(w.interval)
	}
	cancel()
	reading.Wait()
	got := log.all()
	if len(got) != 2 {
		t.Fatalf("the log reads %q, want a line about limits and one about groups", got)
	}
	for i, says := range []string{"usage of limits cannot be read", "usage of Workspaces and ServiceAccounts cannot be read"} {
		if !strings.Contains(got[i], says) || !strings.Contains(got[i], "404") {
			t.Errorf("the log reads %q, want %q", got[i], says)
		}
	}
}

func TestAVerifierThatIsAwayIsAskedLessAndLessOften(t *testing.T) {
	w := &WriteBack{interval: 10 * time.Second}
	for failures, want := range []time.Duration{10, 10, 20, 40, 60, 60, 60} {
		if got := w.pause(failures); got != want*time.Second {
			t.Errorf("after %d failures the pause is %v, want %v", failures, got, want*time.Second)
		}
	}
	slow := &WriteBack{interval: 5 * time.Minute}
	if got := slow.pause(9); got != 5*time.Minute {
		t.Errorf("with an interval of 5 minutes the pause is %v", got)
	}
}
