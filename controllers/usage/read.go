package usage

import (
	"context"
	"time"

	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// A verifier that is away is asked less and less often, down to this.
const slowestRead = time.Minute

// outage counts failures in a row, to tell of them once when they begin and once when they end.
type outage struct{ failures int }

// readAll reads the feeds again and again. A verifier of before there was a feed of limits or of groups still has
// its keys read as often as any other.
func (w *WriteBack) readAll(ctx context.Context) {
	var keys, limits, groups outage
	for {
		now := w.clock.Now()
		w.tell(ctx, &keys, "Usage", w.readKeys(ctx, now))
		if keys.failures == 0 {
			w.tell(ctx, &limits, "The usage of limits", readEach(ctx, w, &w.limits, now, func(l usagefeed.Limit) news { return ofLimit{l} }))
			w.tell(ctx, &groups, "The usage of Workspaces and ServiceAccounts", readEach(ctx, w, &w.groups, now, func(g usagefeed.Group) news { return ofGroup{g} }))
		}
		w.wake()
		w.forget()
		if !w.sleep(ctx, w.pause(keys.failures)) {
			return
		}
	}
}

func (w *WriteBack) readKeys(ctx context.Context, now time.Time) error {
	of := w.verifiers.look(ctx, now)
	err := readEach(ctx, w, &w.keys, now, func(k usagefeed.Key) news { return ofKey{k} })
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.known.failing = true
	} else {
		w.known.complete(now, countedUntil(now, w.keys.counted, of, w.keys.shared), w.keys.whole)
		w.known.shared = w.keys.shared
	}
	return err
}

// readEach observes all that is new in a feed.
func readEach[Item any](ctx context.Context, w *WriteBack, c *cursor[Item], now time.Time, newsOf func(Item) news) error {
	return c.readAll(ctx, now, func(list []Item) {
		for _, item := range list {
			w.observe(ctx, newsOf(item))
		}
	})
}

// tell takes note of how it went to read what.
func (w *WriteBack) tell(ctx context.Context, o *outage, what string, err error) {
	switch {
	case ctx.Err() != nil:
	case err != nil:
		w.metrics.readFailures.Inc()
		if o.failures == 0 {
			w.log.Info(what+" cannot be read from the verifier; it is tried again until it can", "reason", err.Error())
		}
		o.failures++
	case o.failures > 0:
		w.log.Info(what + " is read from the verifier again")
		o.failures = 0
	}
}

// observe schedules what a feed told where a status does not show it. What was deleted has none.
func (w *WriteBack) observe(ctx context.Context, n news) {
	c, err := n.change(ctx, w.statuses)
	if err != nil || c.object == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.usage == nil {
		w.known.shown(n.id())
		w.schedule.renew(n)
		return
	}
	if _, ok := n.(ofKey); ok {
		w.known.observed(n.id(), c.lastShown)
	}
	now := w.clock.Now()
	w.schedule.observe(n, c.shown(now), now)
}

// wake has the writer look at the schedule.
func (w *WriteBack) wake() {
	select {
	case w.observed <- struct{}{}:
	default:
	}
}

// forget drops what no longer matters.
func (w *WriteBack) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.schedule.forget(w.clock.Now())
	w.announced.forget(w.clock.Now())
	w.metrics.pending.Set(float64(len(w.schedule.pending)))
}

// pause is how long to leave the verifier alone after so many failures in a row.
func (w *WriteBack) pause(failures int) time.Duration {
	longer := w.interval << min(max(failures-1, 0), 6)
	return min(longer, max(w.interval, slowestRead))
}
