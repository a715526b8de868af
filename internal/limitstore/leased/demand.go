package leased

import (
	"time"

	"github.com/claviger-dev/claviger/internal/limit"
)

// demand measures what is used of a lease, from sweep to sweep, by no clock: those come evenly, and
// the time of day does not.
type demand struct {
	past   int64 // was used of windows that are gone, and as debt
	swept  int64 // was used in all at the last sweep
	second int64 // is used in a second; it falls by half with each sweep
}

func (d *demand) used(w *window) int64 { return d.past + w.used.Load() - w.unspent }

// since is what was used since the last sweep.
func (d *demand) since(w *window) int64 { return max(0, d.used(w)-d.swept) }

// sweep returns what was used since the sweep before.
func (d *demand) sweep(w *window) int64 {
	since := d.since(w)
	d.swept = d.used(w)
	d.second = max(since*int64(time.Second/sweepEvery), d.second/2)
	return since
}

// target is how much a lease should hold: what is used in a second. Between two sweeps it grows with what is used, so
// that each draw can be twice as large as what was used before.
func (l *Lease) target(w *window) int64 {
	return min(max(l.demand.second, 2*l.demand.since(w)), w.rule.Capacity())
}

// share is how much a lease may hold: of what is left, half of this verifier's part.
func (l *Lease) share(w *window, now time.Time) int64 {
	left := w.rule.Capacity() // of a new span or period
	if !w.over(now) || w.rule.Kind == limit.Tokens && w.until.Load() != 0 {
		left, _ = w.standing(now)
	}
	return max(1, left/int64(2*max(1, l.store.drawer.Verifiers())))
}

// want is how much to draw for those who wait, and ahead of need.
func (l *Lease) want(w *window, now time.Time) int64 {
	left := int64(0)
	if !w.over(now) {
		left = max(0, w.left())
	}
	var need int64
	for _, waiter := range l.waiters {
		waiter.asked = true
		waiter.draws++
		need += waiter.amount
	}
	if len(l.waiters) > 0 {
		need = max(1, need-left)
	}
	if l.store.stopping.Load() || need == 0 && left >= w.mark.Load() {
		return need
	}
	return max(need, min(l.target(w), l.share(w, now))-left)
}
