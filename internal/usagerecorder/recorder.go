// Package usagerecorder stands between requests and the store of usage: a request hands
// over what happened and goes on; counting and storing happen elsewhere, in batches.
package usagerecorder

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/claviger-dev/claviger/internal/usage"
)

const (
	// Between two flushes, so that a killed process loses less than a second.
	flushEvery = 500 * time.Millisecond
	// Some ten milliseconds of the busiest traffic, in about 7 MB. The queue only bridges pauses
	// of the collector, never those of the store.
	queueSize = 1 << 15
	// What the collector lets come together once something came, so as not to be woken by
	// each event. It is no time that anything depends on, and not taken from the clock.
	gather = time.Millisecond
)

// Store adds roll-ups to what it has, each one wholly or, with an error, not at all.
type Store interface {
	Add(context.Context, *usage.Rollup) error
}

// Recorder counts events and stores the counts. While the store fails it keeps them in
// memory, one line for each key, hour and answer, and adds them when the store is back.
type Recorder struct {
	store   Store
	clock   clock.WithTicker
	log     logr.Logger
	metrics metrics

	queue queue
	// idle is set by the collector before it sleeps, and whoever finds it set wakes it.
	idle atomic.Bool
	wake chan struct{}
	// flushed carries the end of a flush back to the collector, which owns all counts but
	// those in flight.
	flushed chan result

	closed    atomic.Bool
	closeOnce sync.Once
	closing   chan struct{}
	left      *usage.Rollup // what is not stored yet, once collected is closed
	collected chan struct{}
	// abort ends a flush in flight when Close may wait no longer.
	context context.Context
	abort   context.CancelFunc
}

type result struct {
	rollup *usage.Rollup
	err    error
}

// New starts a Recorder. Its metrics go to registerer.
func New(store Store, clock clock.WithTicker, registerer prometheus.Registerer, log logr.Logger) (*Recorder, error) {
	r := build(store, clock, log)
	if err := r.metrics.register(registerer); err != nil {
		return nil, err
	}
	go r.collect()
	return r, nil
}

func build(store Store, clock clock.WithTicker, log logr.Logger) *Recorder {
	r := &Recorder{
		store: store, clock: clock, log: log, metrics: newMetrics(),
		queue:     newQueue(queueSize),
		wake:      make(chan struct{}, 1),
		flushed:   make(chan result, 1),
		closing:   make(chan struct{}),
		collected: make(chan struct{}),
	}
	r.context, r.abort = context.WithCancel(context.Background())
	return r
}

// Record counts an event. It never waits: an event that finds the queue full is dropped
// and shows in claviger_usage_events_dropped_total.
func (r *Recorder) Record(e usage.Event) {
	if r.closed.Load() {
		r.metrics.dropped.Inc()
		return
	}
	if !r.queue.push(&e) {
		r.metrics.dropped.Inc()
		return
	}
	if r.idle.Load() && r.idle.CompareAndSwap(true, false) {
		select {
		case r.wake <- struct{}{}:
		default: // it was woken before, and did not get to see it yet
		}
	}
}

// collect counts what arrives and hands the counts over to be stored, one flush at a time.
func (r *Recorder) collect() {
	defer close(r.collected)
	ticker := r.clock.NewTicker(flushEvery)
	defer ticker.Stop()
	c := collector{recorder: r, counts: usage.NewRollup(), tallies: tallies{}}
	for {
		c.drain()
		r.idle.Store(true)
		if c.drain() && r.idle.CompareAndSwap(true, false) {
			continue // it came before anybody could see that we sleep
		}
		select {
		case <-r.wake:
			time.Sleep(gather)
		case <-ticker.C():
			c.due = true
		case flushed := <-r.flushed:
			c.landed(flushed)
		case <-r.closing:
			r.left = c.finish()
			return
		}
		c.flushIfDue()
	}
}

func (r *Recorder) flush(ctx context.Context, rollup *usage.Rollup) result {
	start := r.clock.Now()
	err := r.store.Add(ctx, rollup)
	r.metrics.seconds.Observe(r.clock.Since(start).Seconds())
	if err != nil {
		r.metrics.failures.Inc()
	}
	return result{rollup: rollup, err: err}
}
