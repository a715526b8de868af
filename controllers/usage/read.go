package usage

import (
	"context"
	"time"

	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// A verifier that is away is asked less and less often, down to this.
const slowestRead = time.Minute

// readAll reads the feed again and again. An outage is told once when it begins and once
// when it ends.
func (w *WriteBack) readAll(ctx context.Context) {
	failures := 0
	for {
		err := w.cursor.readAll(ctx, func(keys []usagefeed.Key) { w.observe(ctx, keys) })
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			w.metrics.readFailures.Inc()
			if failures == 0 {
				w.log.Info("Usage cannot be read from the verifier; it is tried again until it can", "reason", err.Error())
			}
			failures++
		case failures > 0:
			w.log.Info("Usage is read from the verifier again")
			failures = 0
		}
		w.mu.Lock()
		w.schedule.forget(w.clock.Now())
		w.metrics.pending.Set(float64(len(w.schedule.pending)))
		w.mu.Unlock()
		if !w.sleep(ctx, w.pause(failures)) {
			return
		}
	}
}

// pause is how long to leave the verifier alone after so many failures in a row.
func (w *WriteBack) pause(failures int) time.Duration {
	longer := w.interval << min(max(failures-1, 0), 6)
	return min(longer, max(w.interval, slowestRead))
}
