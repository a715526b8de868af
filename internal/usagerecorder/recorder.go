// Package usagerecorder stands between requests and the store of usage: a request hands
// over what happened and goes on; counting and storing happen elsewhere, in batches.
//
//	requests -> queue -> collector -> keeper -> storer -> store
//	                                    |         |
//	reports ----------------------> journal <-----+
//
// The queue is in memory and bounded. The collector counts. The keeper writes each batch into the journal on disk, and
// the storer has the store take them in, one after the other, as fast as it can: what waits for it is on disk, and
// only as much of it in memory as bridges a moment.
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
	"github.com/claviger-dev/claviger/internal/usagejournal"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

const (
	// Between two flushes, so that a killed process loses less than a second.
	flushEvery = 750 * time.Millisecond
	// Some ten milliseconds of the busiest traffic, in about 15 MB. The queue only bridges pauses
	// of the collector, never those of the store. Most of the time what its small rings hold, 100 kB each, is enough.
	queueSize = 1 << 15
	ringSize  = 1 << 8
	// What the collector lets come together once something came, so as not to be woken by
	// each event. It is no time that anything depends on, and not taken from the clock.
	gather = 5 * time.Millisecond
	// What may lie between the moment that an event tells of and when it is recorded.
	onTheWay = time.Second
)

// Options are what a Recorder is made of; all are needed.
type Options struct {
	Store   usagestore.Writer
	Journal *usagejournal.Journal // which the Recorder closes
	Clock   clock.WithTicker
	// Registerer gets the metrics.
	Registerer prometheus.Registerer
	Log        logr.Logger
}

// Recorder counts events and has the counts stored.
type Recorder struct {
	store   usagestore.Writer
	journal *usagejournal.Journal
	clock   clock.WithTicker
	log     logr.Logger
	metrics metrics

	queue queue
	// idle is set by the collector before it sleeps, and whoever finds it set wakes it.
	idle atomic.Bool
	wake chan struct{}
	cut  chan counted  // batches, from the collector to the keeper
	kept chan struct{} // has one when the keeper is ready for the next

	backlog backlog
	// reached is a moment, in Unix nanoseconds, before which all that was recorded has come into the backlog.
	reached atomic.Int64
	// continues are the writers of what was left in the journal.
	continues []string

	closed    atomic.Bool
	closeOnce sync.Once
	closing   chan struct{} // closed: count what is there, and end
	ending    chan struct{} // closed: there will be no more batches
	running   sync.WaitGroup
	// abort ends what the store is at, when Close may wait no longer.
	context context.Context
	abort   context.CancelFunc
}

// New starts a Recorder. It begins with what is left in the journal from before.
func New(o Options) (*Recorder, error) {
	r := build(o)
	left, err := r.journal.Left()
	if err != nil {
		return nil, err
	}
	now := r.clock.Now()
	r.backlog.begin(left, now)
	r.continues = writersOf(left)
	r.reachedUntil(now) // as nothing was recorded yet
	if err := r.metrics.register(o.Registerer, r); err != nil {
		return nil, err
	}
	r.running.Go(r.collect)
	r.running.Go(r.keep)
	r.running.Go(r.storeAll)
	return r, nil
}

func build(o Options) *Recorder {
	r := &Recorder{
		store: o.Store, journal: o.Journal, clock: o.Clock, log: o.Log, metrics: newMetrics(),
		queue:   newQueue(ringSize, queueSize),
		wake:    make(chan struct{}, 1),
		cut:     make(chan counted, 1),
		kept:    make(chan struct{}, 1),
		backlog: newBacklog(),
		closing: make(chan struct{}),
		ending:  make(chan struct{}),
	}
	r.context, r.abort = context.WithCancel(context.Background())
	return r
}

// Record counts a decision. It never waits: an event that finds the queue full is dropped
// and shows in claviger_usage_events_dropped_total.
func (r *Recorder) Record(e usage.Event) {
	if r.closed.Load() || !r.queue.push(&e) {
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

// Report counts an outcome. When it returns the outcome is on disk, so that whoever reported may be told that it was
// taken; where the disk takes nothing more it is in memory, and that shows in a metric.
func (r *Recorder) Report(e usage.Event) {
	if r.closed.Load() {
		r.metrics.dropped.Inc()
		return
	}
	if err := r.journal.Report(&e); err != nil {
		r.metrics.journalFailures.Inc()
	}
}

// collect counts what arrives and hands the counts over, one batch at a time.
func (r *Recorder) collect() {
	ticker := r.clock.NewTicker(flushEvery)
	defer ticker.Stop()
	c := newCollector(r)
	for {
		began := r.clock.Now()
		c.drain()
		c.drained = began
		r.idle.Store(true)
		if c.drain() && r.idle.CompareAndSwap(true, false) {
			continue // it came before anybody could see that we sleep
		}
		select {
		case <-r.wake:
			time.Sleep(gather)
		case <-ticker.C():
			c.due = true
		case <-r.kept:
			c.handed = false
			r.reachedUntil(c.cutUntil)
		case <-r.closing:
			r.finish(c)
			return
		}
		c.flushIfDue()
	}
}

// finish counts all that is still queued.
func (r *Recorder) finish(c *collector) {
	for c.drain() {
	}
	if b := c.cut(); b != nil {
		r.cut <- *b // the keeper takes one while another is being taken over
	}
	close(r.cut)
}
