package leased

import (
	"context"
	"time"

	"github.com/claviger-dev/claviger/internal/limit"
)

const (
	// sweepEvery is how often leases are looked through: what lies unused for two sweeps is given back.
	sweepEvery = 500 * time.Millisecond
	// forgetAfter is how many sweeps a lease is kept of which nothing was used: a minute.
	forgetAfter = 120
	// lastWords is how long Run may take to give back everything after its end, and in that time
	// it tries again after each pause.
	lastWords, lastPause = 3 * time.Second, 100 * time.Millisecond
)

// Run gives back what lies unused and forgets what was not used for long, until ctx ends. Then it gives back all
// that is not used and tells all debt. Requests should have ended by then: those that still come ask the store for what
// they need, each for itself.
func (s *Store) Run(ctx context.Context) error {
	ticker := s.clock.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C():
			s.sweep()
		case <-ctx.Done():
			s.stop()
			return nil
		}
	}
}

func (s *Store) sweep() {
	now, dead := s.clock.Now(), 0
	s.table.Load().each(func(l *Lease) {
		if l.sweep(now) {
			dead++
		}
	})
	s.bury(dead)
	s.queues.tidy(now)
}

// sweep gives back what was not used for long, and returns whether the lease died of it.
func (l *Lease) sweep(now time.Time) (died bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead.Load() {
		return false
	}
	w := l.window.Load()
	if used := l.demand.sweep(w); used > 0 || l.touched || l.busy.Load() || l.debt > 0 || l.back.amount > 0 {
		l.rest = 0
	}
	l.touched = false
	if !w.over(now) {
		l.age(w, now)
	}
	if l.rest++; l.rest > forgetAfter {
		// If a request that took long returns something to it, that is given back as to any retired window; what
		// it just returned keeps the lease alive.
		l.retire(newWindow(w.rule))
		l.dead.Store(l.back.amount == 0)
	}
	if l.debt > 0 || l.back.amount > 0 {
		_ = l.ask() // else the next sweep does
	}
	return l.dead.Load()
}

// age withholds what was granted two sweeps ago and is not used: of what is granted, the oldest is used
// first.
func (l *Lease) age(w *window, now time.Time) {
	w.mark.Store(min(w.mark.Load(), l.target(w)/2))
	l.giveBack(w.epoch, w.until.Load(), w.withhold(w.aged[1]-w.used.Load()))
	w.aged = [2]int64{w.granted.Load(), w.aged[0]}
	if w.rule.Kind == limit.Tokens {
		w.until.Store(now.Add(lapse).UnixNano())
	}
}

// stop gives back everything that is not used and tells all debt, within lastWords.
func (s *Store) stop() {
	s.stopping.Store(true)
	deadline := s.clock.NewTimer(lastWords)
	defer deadline.Stop()
	for {
		unsettled := s.settle()
		select {
		case <-s.queues.rest():
			if unsettled == 0 {
				return
			}
		case <-deadline.C():
			s.log.Info("the shared store of limits does not answer: what was used last may not be counted, and what was leased may count as used until its span or period ends", "leases", unsettled)
			return
		}
		if s.queues.anyFailed() {
			s.clock.Sleep(lastPause)
		}
	}
}

// settle asks for all leases that are not settled, and returns how many those are.
func (s *Store) settle() (unsettled int) {
	s.table.Load().each(func(l *Lease) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.window.Load().retired.Load() {
			fresh := newWindow(l.window.Load().rule)
			fresh.retired.Store(true)
			l.retire(fresh)
		}
		if l.debt > 0 || l.back.amount > 0 {
			_ = l.ask() // else it is asked for again
		}
		if l.debt > 0 || l.back.amount > 0 || l.busy.Load() {
			unsettled++
		}
	})
	return unsettled
}
