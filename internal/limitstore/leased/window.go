package leased

import (
	"sync/atomic"
	"time"

	"github.com/claviger-dev/claviger/internal/limit"
)

// window is what was granted to a lease in one span or period, under one rule. When that is over another window
// takes its place, and what is left in it is void. A new one is over.
type window struct {
	rule  *limit.Rule
	epoch int64 // as the Drawer names the span or period
	// Of Tokens: the nanoseconds in which one flows in, and in which all do.
	interval, full int64

	// All that was ever granted in it, and what is gone of that, which is never more. Only a Return makes
	// used less, and nothing granted.
	granted, used atomic.Int64
	// until is the end in nanoseconds since 1970, exclusive.
	until atomic.Int64
	// With less than mark left it is time to draw; zero while the counter is exhausted.
	mark atomic.Int64
	// The counter's state at the last draw: what it had left for all, and when it will be whole.
	shared, resetAt atomic.Int64
	// Until refusing no more is asked for, because there was nothing.
	refusing atomic.Int64
	// A retired window is given back. What returns to it has to follow.
	retired atomic.Bool

	// Guarded by the lease's lock: how much of used was not used by requests, and what was granted
	// at the last two sweeps.
	unspent int64
	aged    [2]int64
}

func newWindow(rule *limit.Rule) *window {
	w := &window{rule: rule}
	if rule.Kind == limit.Tokens {
		w.interval = (int64(rule.Per) + rule.Max - 1) / rule.Max
		w.full = w.flow(rule.Burst)
	}
	return w
}

func (w *window) holds(rule *limit.Rule) bool { return w.rule == rule || w.rule.Equal(rule) }

func (w *window) over(now time.Time) bool { return now.UnixNano() >= w.until.Load() }

func (w *window) left() int64 {
	used := w.used.Load() // first: if more is granted between, that is left too
	return w.granted.Load() - used
}

// take takes an amount if at least so much is left, and tells what is left then.
func (w *window) take(amount, least int64) (left int64, ok bool) {
	for {
		used := w.used.Load()
		left = w.granted.Load() - used
		if left < least {
			return left, false
		}
		if amount == 0 || w.used.CompareAndSwap(used, used+amount) {
			return left - amount, true
		}
	}
}

// takeUpTo takes as much of an amount as there is.
func (w *window) takeUpTo(amount int64) (taken int64) {
	for {
		used := w.used.Load()
		taken = min(amount, w.granted.Load()-used)
		if taken <= 0 {
			return 0
		}
		if w.used.CompareAndSwap(used, used+taken) {
			return taken
		}
	}
}

// withhold takes up to an amount that no request uses. It is for who holds the lease's lock.
func (w *window) withhold(amount int64) (taken int64) {
	taken = w.takeUpTo(amount)
	w.unspent += taken
	return taken
}

func (w *window) refuses(now time.Time) bool {
	wait := w.refusing.Load() - now.UnixNano()
	return wait > 0 && wait <= int64(longestRefusal)
}

// result is the answer while so much is left of the window. Another rule than the window's is an edit
// that has not taken hold yet.
func (w *window) result(rule *limit.Rule, now time.Time, left int64) limit.Result {
	most := rule.Capacity()
	shared, whole := w.standing(now)
	remaining := max(0, left) + shared + most - w.rule.Capacity()
	return limit.Result{
		Allowed: true, Limit: most, Remaining: min(most, max(0, remaining)), ResetAt: time.Unix(0, whole).UTC(),
	}
}

// refusal is the answer to a request for more than is left of the window and of the counter.
func (w *window) refusal(now time.Time, amount, left int64) limit.Result {
	result := w.result(w.rule, now, left)
	result.Allowed = false
	wait := result.ResetAt.Sub(now)
	if amount <= w.rule.Capacity() {
		// Tokens flow in evenly, and what is short is here before the bucket is full.
		wait -= time.Duration(w.full - w.flow(max(0, amount-max(0, left))))
	}
	result.RetryAfter = max(time.Millisecond, wait)
	return result
}

// standing is what the counter has left for all, and when it is whole, as far as is known here.
func (w *window) standing(now time.Time) (left, whole int64) {
	whole = w.resetAt.Load()
	if w.rule.Kind != limit.Tokens {
		return w.shared.Load(), whole
	}
	at := now.UnixNano()
	whole = min(max(whole, at), at+w.full)
	return (w.full - (whole - at)) / w.interval, whole
}

// flow is the time in which n tokens flow in, in nanoseconds.
func (w *window) flow(n int64) int64 {
	const forever = 1 << 61
	if w.interval > 0 && n > forever/w.interval {
		return forever
	}
	return n * w.interval
}
