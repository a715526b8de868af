package leased

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/claviger-dev/claviger/internal/limit"
)

// A store that grants what is over when it arrives is asked again, though not for ever.
const mostDraws = 5

var errOver = errors.New("the shared store grants in spans that are over already: look at its clock, and at this one")

// waiter is a request that waits for a draw.
type waiter struct {
	now    time.Time
	amount int64
	draws  int  // that were to bring it
	asked  bool // at least one was to, before or now
	done   chan struct{}

	// Set before done is closed.
	result limit.Result
	taken  Taken
	err    error
}

func (l *Lease) takeSlowly(ctx context.Context, now time.Time, rule *limit.Rule, amount int64) (limit.Result, Taken, error) {
	if result, ok := l.needless(now, rule, amount); ok {
		return result, Taken{}, nil
	}
	l.mu.Lock()
	if l.dead.Load() {
		l.mu.Unlock()
		return l.successor().Take(ctx, now, rule, amount)
	}
	l.touched = true
	w := l.adopt(rule)
	if !w.over(now) {
		left, ok := w.take(amount, atLeast(rule, amount))
		if ok || w.refuses(now) {
			defer l.mu.Unlock()
			if !ok {
				return w.refusal(now, amount, left), Taken{}, nil
			}
			return w.result(rule, now, left), Taken{l, w, amount}, nil
		}
	}
	if err := l.ask(); err != nil {
		l.mu.Unlock()
		return limit.Result{}, Taken{}, err
	}
	waiter := &waiter{now: now, amount: amount, done: make(chan struct{})}
	l.waiters = append(l.waiters, waiter)
	l.mu.Unlock()
	return l.wait(ctx, waiter)
}

// needless answers what is decided without the counter: nothing is always there, and more than all, or
// less than nothing, never.
func (l *Lease) needless(now time.Time, rule *limit.Rule, amount int64) (result limit.Result, ok bool) {
	if amount >= 0 && amount <= rule.Capacity() && atLeast(rule, amount) > 0 {
		return result, false
	}
	result = l.Look(now, rule)
	if amount != 0 {
		result.Allowed = false
		result.RetryAfter = max(time.Millisecond, result.ResetAt.Sub(now))
	}
	return result, true
}

func (l *Lease) wait(ctx context.Context, w *waiter) (limit.Result, Taken, error) {
	select {
	case <-w.done:
		return w.result, w.taken, w.err
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.waiters, w)
	if i < 0 { // it was answered meanwhile
		return w.result, w.taken, w.err
	}
	// The draw goes on, and what it brings is there for others.
	l.waiters = slices.Delete(l.waiters, i, i+1)
	return limit.Result{}, Taken{}, fmt.Errorf("the shared store of limits did not answer in time: %w", context.Cause(ctx))
}

// serve answers the requests that a window has enough for.
func (l *Lease) serve(w *window, now time.Time) {
	if w.over(now) {
		return
	}
	l.answer(func(waiter *waiter) bool {
		left, ok := w.take(waiter.amount, atLeast(w.rule, waiter.amount))
		if ok {
			waiter.result, waiter.taken = w.result(w.rule, waiter.now, left), Taken{l, w, waiter.amount}
		}
		return ok
	})
}

// refuse refuses those for whom there was nothing in the draw that they asked for.
func (l *Lease) refuse(w *window) {
	l.answer(func(waiter *waiter) bool {
		if waiter.asked {
			waiter.result = w.refusal(waiter.now, waiter.amount, w.left())
		}
		return waiter.asked
	})
}

// answer lets those go whom decide has an answer for.
func (l *Lease) answer(decide func(*waiter) bool) {
	l.waiters = slices.DeleteFunc(l.waiters, func(waiter *waiter) bool {
		decided := decide(waiter)
		if decided {
			close(waiter.done)
		}
		return decided
	})
}
