package leased

import (
	"math"
	"time"

	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/limitstore"
)

const (
	// longestRefusal is how long it is taken for sure that a counter is exhausted: others may give back
	// what they hold at any time, and a client that hammers shall not cost a round trip each time.
	longestRefusal = 50 * time.Millisecond
	// lapse is how long Tokens may be used after the last grant or sweep. Sweeps leave none that are older
	// than one and a half seconds; this is for a process that was stopped for a while.
	lapse = time.Second
)

// All below is for who holds the lease's lock.

// ask has the lease drawn for, unless that is under way. An error is that the store has failed
// just now, and is not asked for the moment.
func (l *Lease) ask() error {
	err := l.store.queues.add(l, !l.busy.Load())
	if err == nil {
		l.busy.Store(true)
	}
	return err
}

// adopt makes a rule the one that is drawn by.
func (l *Lease) adopt(rule *limit.Rule) *window {
	w := l.window.Load()
	if w.holds(rule) {
		return w
	}
	fresh := newWindow(rule)
	l.retire(fresh)
	return fresh
}

// retire puts a fresh window in the place of the one that there is, and gives that back.
func (l *Lease) retire(fresh *window) {
	w := l.window.Load()
	l.replace(fresh)
	w.retired.Store(true) // before it is emptied: whoever returns something later sees it
	l.emptied(w)
}

func (l *Lease) replace(fresh *window) {
	w := l.window.Load()
	l.demand.past = l.demand.used(w)
	l.window.Store(fresh)
}

// emptied notes what was left in a retired window as to be given back, where that is worth something.
func (l *Lease) emptied(w *window) {
	if amount := w.withhold(math.MaxInt64); !w.over(l.store.clock.Now()) {
		l.giveBack(w.epoch, w.until.Load(), amount)
	}
}

func (l *Lease) giveBack(epoch, until, amount int64) {
	if amount == 0 {
		return
	}
	if l.window.Load().rule.Kind == limit.Tokens {
		until = math.MaxInt64 // it is for the store to say what they are worth
	}
	if l.back.epoch != epoch {
		l.back = returned{}
	}
	l.back = returned{epoch, until, l.back.amount + amount}
}

// compose makes the draw that the lease needs, or none. A probe only looks: to find out whether a store
// that failed answers again, nothing is risked.
func (l *Lease) compose(now time.Time, probe bool) (draw limitstore.Draw, needed bool) {
	w := l.window.Load()
	draw = limitstore.Draw{Counter: l.counter, Rule: w.rule, Known: l.known.Load()}
	if probe {
		return draw, true
	}
	l.serve(w, now)
	if now.UnixNano() >= l.back.until {
		l.back = returned{}
	}
	paid := min(l.debt, l.back.amount)
	l.debt -= paid
	l.back.amount -= paid
	switch {
	case l.debt > 0:
		draw.Used = l.debt
	case l.back.amount > 0:
		draw.Used, draw.Epoch = -l.back.amount, l.back.epoch
		l.back = returned{} // if it is lost on the way, it is: given back twice it would be too much
	}
	// Whoever gives back because nobody needs it does not ask for it in the same breath.
	if draw.Used >= 0 || len(l.waiters) > 0 {
		draw.Want = l.want(w, now)
	}
	needed = draw.Used != 0 || draw.Want > 0
	l.busy.Store(needed)
	return draw, needed
}

// apply takes what was granted, and tells whether there is more to draw.
func (l *Lease) apply(now time.Time, draw *limitstore.Draw, grant limitstore.Grant) (more bool) {
	if draw.Used > 0 {
		l.debt -= draw.Used
	}
	amount := min(max(0, grant.Amount), draw.Want)
	exhausted := amount < draw.Want
	switch w := l.window.Load(); {
	case !w.holds(draw.Rule):
		l.giveBack(grant.Epoch, grant.Until.UnixNano(), amount) // it was drawn by a rule that was edited meanwhile
	default:
		w = l.windowOf(w, now, grant, amount)
		if w.over(now) {
			l.giveUp()
			break
		}
		w.learn(now, grant, exhausted)
		w.granted.Add(amount)
		l.serve(w, now)
		if exhausted {
			l.refuse(w)
		}
		if w.retired.Load() {
			l.emptied(w)
		} else if grant.Left > 0 {
			w.mark.Store(min(l.target(w), w.left()) / 2)
		}
	}
	more = l.debt > 0 || l.back.amount > 0 || len(l.waiters) > 0
	l.busy.Store(more)
	return more
}

// windowOf is the window in which something was granted: the one that there is, or a new one.
func (l *Lease) windowOf(w *window, now time.Time, grant limitstore.Grant, amount int64) *window {
	if w.over(now) || w.epoch != grant.Epoch {
		w = newWindow(w.rule)
		w.epoch = grant.Epoch
		l.replace(w)
	}
	switch {
	case w.rule.Kind == limit.Tokens:
		w.until.Store(now.Add(lapse).UnixNano())
	case !grant.Until.IsZero():
		w.until.Store(grant.Until.UnixNano())
	case amount == 0 && w.left() <= 0: // nothing is in it that could be void
		w.until.Store(now.Add(longestRefusal).UnixNano())
	}
	if l.store.stopping.Load() {
		w.retired.Store(true)
	}
	return w
}

// learn notes how the counter stands.
func (w *window) learn(now time.Time, grant limitstore.Grant, exhausted bool) {
	w.mark.Store(0)
	w.shared.Store(max(0, grant.Left))
	w.resetAt.Store(grant.ResetAt.UnixNano())
	switch {
	case exhausted:
		wait := longestRefusal
		if w.rule.Kind == limit.Tokens {
			wait = min(wait, time.Duration(w.interval))
		}
		if until := grant.RetryAt.Sub(now); until > 0 {
			wait = min(wait, until)
		}
		w.refusing.Store(now.Add(wait).UnixNano())
	case grant.Left > 0:
		w.refusing.Store(0)
	}
}

// giveUp lets those go who were asked for often enough.
func (l *Lease) giveUp() {
	l.answer(func(waiter *waiter) bool {
		if waiter.draws >= mostDraws {
			waiter.err = errOver
		}
		return waiter.err != nil
	})
}

// fail ends a draw that nobody knows the outcome of.
func (l *Lease) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.window.Load().mark.Store(0) // nothing is drawn ahead until the store answers again
	l.answer(func(waiter *waiter) bool {
		waiter.err = err
		return true
	})
	l.busy.Store(false)
}
