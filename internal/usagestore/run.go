package usagestore

import (
	"context"
	"time"

	"k8s.io/utils/clock"
)

const (
	// So late the feed tells that nobody is refused any more.
	lapseEvery  = 10 * time.Second
	expireEvery = time.Hour
)

// RunLapse looks now and then for refusals that are over, until ctx ends. An outage is given to failed once.
func RunLapse(ctx context.Context, s Store, clock clock.WithTicker, holds Holds, failed func(error)) {
	run(ctx, clock, lapseEvery, failed, func(now time.Time) error {
		_, err := s.Lapse(ctx, now, holds)
		return err
	})
}

// RunExpiry drops what is past keeping now and then, until ctx ends. An outage is given to failed once.
func RunExpiry(ctx context.Context, s Store, clock clock.WithTicker, keep Keep, failed func(error)) {
	run(ctx, clock, expireEvery, failed, func(now time.Time) error { return s.Expire(ctx, now, keep) })
}

func run(ctx context.Context, clock clock.WithTicker, every time.Duration, failed func(error), do func(time.Time) error) {
	ticker := clock.NewTicker(every)
	defer ticker.Stop()
	for failing := false; ; {
		err := do(clock.Now())
		if err != nil && ctx.Err() == nil && !failing {
			failed(err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}
	}
}
