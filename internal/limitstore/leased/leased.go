// Package leased decides requests in this process out of slices of counters that several verifiers
// share. A slice is prepaid: it is counted in the shared store when it is granted, and so nothing is admitted
// over a limit by leasing it. What it costs, and what bounds that:
//
//   - Units that lie unused in one verifier are missing in the others, which may refuse a request for want of
//     them. Ahead of need a Lease holds at most what was used of it in about the last second (twice what was used in
//     the last half, while it grows), and at most what the counter had left at the draw before divided by 2n, n being
//     the verifiers, though one at least. So all of them together hold half of what was left, or n units where that
//     is more, and none ahead of need once nothing is left. What lay unused for a second is given back within another half.
//     A refusal is remembered for up to 50 ms, in which others may give back something.
//   - A Budget may be overdrawn by what requests turn out to cost afterwards (Charge), as everywhere.
//   - Tokens may be used up to one and a half seconds later than they were taken from the shared bucket, and in a
//     process that was stopped two and a half: in any time t all verifiers admit at most Burst and what flows in
//     during t and that.
//   - A verifier that is killed loses what it held until the span or period ends, and the debt that it was just
//     about to tell. One that ends in peace (Run) gives back everything.
//   - Where the store does not answer, nobody knows what became of the draws under way. What they may have granted or
//     given back is taken for lost, until the span or period ends, and debt for not counted: it is told again. So
//     counts end up too high rather than too low; and as a store that failed is asked for nothing until it has
//     answered again, they do so once for each failure.
//
// Rules of Concurrency are not leased: to hold a place ahead of need would be to occupy it.
package leased

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/limitstore"
)

// Options are what a Store is made of, all of them required but Log.
type Options struct {
	// Drawer is asked for a Place by one goroutine at a time. It counts what was used, or is given back, before
	// it grants what is wanted, and tells the number of verifiers without delay.
	Drawer     limitstore.Drawer
	Clock      clock.WithTicker
	Log        logr.Logger
	Registerer prometheus.Registerer
}

// Store owns the leases. Its methods may be called from any goroutine.
type Store struct {
	drawer  limitstore.Drawer
	clock   clock.WithTicker
	log     logr.Logger
	metrics metrics
	queues  queues
	// stopping is set when Run ends: from then on nothing is leased beyond what a request needs.
	stopping atomic.Bool

	table atomic.Pointer[table]
	live  atomic.Int64

	mu   sync.Mutex // guards the writing of the table, and below
	dead int        // leases in the table that are
}

// New makes an empty Store, and registers its metrics.
func New(options Options) (*Store, error) {
	if options.Drawer == nil || options.Clock == nil || options.Registerer == nil {
		return nil, errors.New("leases need a Drawer, a Clock and a Registerer")
	}
	s := &Store{drawer: options.Drawer, clock: options.Clock, log: options.Log}
	s.queues.store, s.queues.byPlace = s, map[string]*queue{}
	s.metrics = newMetrics(func() float64 { return float64(s.live.Load()) })
	s.table.Store(newTable(0))
	return s, s.metrics.register(options.Registerer)
}

// Lease is this process's part of a counter: the same one each time, until it was not used for long. A caller
// may keep it for a request. known is what the process knows of the counter; the Drawer gets it, and keeps it up to
// date. Where there is the lease already, this waits for nobody.
func (s *Store) Lease(counter limitstore.Counter, rule *limit.Rule, known *limit.Bucket) *Lease {
	hash := s.hash(&counter)
	l := s.table.Load().find(hash, &counter)
	if l == nil || l.dead.Load() {
		l = s.make(hash, counter, rule, known)
	}
	if known != nil && l.known.Load() != known {
		l.known.Store(known)
	}
	return l
}

// Find is the lease of a counter that was leased before; nil: make one by Lease. It waits for nobody.
func (s *Store) Find(counter limitstore.Counter) *Lease {
	if l := s.table.Load().find(s.hash(&counter), &counter); l != nil && !l.dead.Load() {
		return l
	}
	return nil
}

func (s *Store) hash(counter *limitstore.Counter) uint64 {
	h := (counter.RuleHash ^ counter.Subject) * 0x9e3779b97f4a7c15
	return (h ^ h>>32) * 0xc4ceb9fe1a85ec53
}

func (s *Store) make(hash uint64, counter limitstore.Counter, rule *limit.Rule, known *limit.Bucket) *Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table.Load()
	before := t.find(hash, &counter)
	if before != nil && !before.dead.Load() {
		return before
	}
	if known == nil {
		known = new(limit.Bucket)
	}
	l := &Lease{store: s, counter: counter, hash: hash}
	l.known.Store(known)
	l.window.Store(newWindow(rule))
	s.live.Add(1)
	if before != nil {
		t.replace(before, l)
		s.dead--
		return l
	}
	if t.full() {
		t = s.rebuild(t)
	}
	t.put(l)
	return l
}

// bury takes dead leases out of the count, and out of the table once they are many.
func (s *Store) bury(dead int) {
	if dead == 0 {
		return
	}
	s.live.Add(int64(-dead))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead += dead
	if t := s.table.Load(); s.dead > smallestTable && 2*s.dead > t.used {
		s.rebuild(t)
	}
}

func (s *Store) rebuild(t *table) *table {
	t = t.rebuilt()
	s.dead = 0
	s.table.Store(t)
	return t
}

// due tells whether a moment has come which was set at most so far ahead; if it is farther away, the clock
// was set back.
func due(now, at time.Time, most time.Duration) bool {
	return !now.Before(at) || at.Sub(now) > most
}
