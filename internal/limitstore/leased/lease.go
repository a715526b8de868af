package leased

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/limitstore"
)

// Lease is this process's part of one counter. Its methods may be called from any goroutine.
type Lease struct {
	store   *Store
	counter limitstore.Counter
	hash    uint64
	known   atomic.Pointer[limit.Bucket]
	window  atomic.Pointer[window] // of the newest rule; written under mu
	// busy says that the lease is in a queue, or is being drawn for. Written under mu.
	busy atomic.Bool
	// A dead lease is in no sweep any more, and so nothing may come to lie in it.
	dead atomic.Bool

	mu      sync.Mutex // guards what follows
	debt    int64      // was used beyond what had been granted, and is not told yet
	back    returned
	waiters []*waiter
	demand  demand
	rest    int  // sweeps since it was of use
	touched bool // since the last sweep
}

// returned is what shall be given back until it is void. A counter has one epoch at a time: what is of
// another is void already.
type returned struct {
	epoch, until, amount int64
}

// Taken is what a request was allowed by a lease. The zero value is nothing.
type Taken struct {
	lease  *Lease
	window *window
	amount int64
}

// Take asks for an amount at a time: all of it or nothing. A Budget or a Quota that is asked for nothing
// allows it while anything is left. It waits only where nothing is left in this process, until
// something is granted or ctx ends, and returns an error where nobody could be asked for more: then the request
// is neither allowed nor refused. The rule of the newest Take is the one that is drawn by: where it
// differs from the one before, all that was granted by that and is not used is given back at once.
func (l *Lease) Take(ctx context.Context, now time.Time, rule *limit.Rule, amount int64) (limit.Result, Taken, error) {
	w := l.window.Load()
	if amount < 0 || w.over(now) || !w.holds(rule) {
		return l.takeSlowly(ctx, now, rule, amount)
	}
	left, ok := w.take(amount, atLeast(rule, amount))
	if !ok {
		if w.refuses(now) || amount > rule.Capacity() {
			return w.refusal(now, amount, left), Taken{}, nil
		}
		return l.takeSlowly(ctx, now, rule, amount)
	}
	result := w.result(rule, now, left) // before the refill moves some of what is left from the counter to here
	if left < w.mark.Load() && !l.busy.Load() {
		l.refill(w)
	}
	return result, Taken{l, w, amount}, nil
}

// atLeast is what must be there for an amount to be taken.
func atLeast(rule *limit.Rule, amount int64) int64 {
	if amount == 0 && (rule.Kind == limit.Budget || rule.Kind == limit.Quota) {
		return 1
	}
	return amount
}

// Return gives back what a Take was allowed, because another limit refused the request. It is to be called at most once.
func (t Taken) Return() {
	if t.amount == 0 {
		return
	}
	t.window.used.Add(-t.amount)
	if t.window.retired.Load() {
		t.lease.reclaim(t.window)
	}
}

// Charge counts an amount that was used already, whether or not it fits: out of the lease where there is
// enough, and else as debt, which is told with the next draw and at once if none is under way; if
// the period ends in between, it counts in the next. Less than nothing counts as nothing: what was taken
// is for Taken.Return.
func (l *Lease) Charge(now time.Time, amount int64) {
	if amount <= 0 {
		return
	}
	amount = min(amount, limit.MaxCounted) // which is more than any limit
	w := l.window.Load()
	if !w.over(now) {
		amount -= w.takeUpTo(amount)
	}
	if amount > 0 {
		l.owe(amount)
	} else if w.left() < w.mark.Load() && !l.busy.Load() {
		l.refill(w)
	}
}

// Look tells how the counter stands, as far as this process knows, without taking or asking for anything.
func (l *Lease) Look(now time.Time, rule *limit.Rule) limit.Result {
	if w := l.window.Load(); !w.over(now) {
		return w.result(rule, now, w.left())
	}
	return rule.Look(l.known.Load(), now)
}

// refill draws ahead of need. No request waits for it, not even for the lock.
func (l *Lease) refill(w *window) {
	if !l.mu.TryLock() {
		return
	}
	defer l.mu.Unlock()
	if l.ask() != nil {
		w.mark.Store(0) // what is left may be used up; then somebody asks again
	}
}

func (l *Lease) owe(amount int64) {
	l.mu.Lock()
	if l.dead.Load() {
		l.mu.Unlock()
		l.successor().owe(amount)
		return
	}
	defer l.mu.Unlock()
	l.touched = true
	l.debt = min(l.debt+amount, limit.MaxCounted)
	l.demand.past += amount
	_ = l.ask() // else the sweep does
}

// successor is the lease in place of a dead one, unless that dies too.
func (l *Lease) successor() *Lease {
	return l.store.Lease(l.counter, l.window.Load().rule, l.known.Load())
}

// reclaim takes from a retired window what returned to it.
func (l *Lease) reclaim(w *window) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.emptied(w)
	if l.back.amount > 0 {
		_ = l.ask() // else the sweep does
	}
}
