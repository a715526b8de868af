package sqlite

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"

	"github.com/claviger-dev/claviger/internal/usagestore"
)

func TestLapsingGoesOnInTheBackgroundAndAnOutageIsToldOnce(t *testing.T) {
	store, clock := newStore(t), testclock.NewFakeClock(november)
	add(t, store, refused("a", "l", november, november))
	var failures atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		usagestore.RunLapse(ctx, store, clock, allHold, func(err error) {
			if err == nil {
				t.Error("a failure without an error")
			}
			failures.Add(1)
		})
	}()
	stepUntil := func(done func() bool) {
		for !done() {
			clock.Step(time.Minute)
			time.Sleep(time.Millisecond)
		}
	}
	stepUntil(func() bool { return refusalsLeft(t, store) == 0 })
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	stepUntil(func() bool { return failures.Load() > 0 })
	for range 10 {
		clock.Step(time.Minute)
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-ended
	if got := failures.Load(); got != 1 {
		t.Errorf("an outage was told %d times", got)
	}
}
