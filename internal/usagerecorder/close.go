package usagerecorder

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/claviger-dev/claviger/internal/usage"
)

const retryEvery = 200 * time.Millisecond

var errClosed = errors.New("the usage recorder was closed before")

// Close stores all that was recorded. Stop whatever records first: what is recorded from
// here on is dropped. When ctx ends before the store has taken everything, the error says
// how much is lost.
func (r *Recorder) Close(ctx context.Context) error {
	err := errClosed
	r.closeOnce.Do(func() { err = r.close(ctx) })
	return err
}

func (r *Recorder) close(ctx context.Context) error {
	defer r.abort()
	stop := context.AfterFunc(ctx, r.abort)
	defer stop()
	r.closed.Store(true)
	close(r.closing)
	<-r.collected
	return r.storeRest(ctx, r.left)
}

func (r *Recorder) storeRest(ctx context.Context, rest *usage.Rollup) error {
	if rest.Empty() {
		return nil
	}
	for {
		err := r.flush(ctx, rest).err
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the usage of %d requests by %d keys is lost, because it could not be stored in time: %w", requests(rest), len(rest.Last), err)
		case <-r.clock.After(retryEvery):
		}
	}
}

func requests(rollup *usage.Rollup) (sum int64) {
	for _, count := range rollup.Hours {
		sum += count
	}
	return sum
}
