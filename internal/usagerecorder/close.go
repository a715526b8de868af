package usagerecorder

import (
	"context"
	"errors"
	"fmt"
)

var errClosed = errors.New("the usage recorder was closed before")

// Close stores all that was recorded. Stop whatever records first: what is recorded from
// here on is dropped. What the store does not take before ctx ends, or while it is away, stays in the journal for
// the next start. The error says how much is lost because the journal has no room for it either.
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
	r.running.Wait()
	if lost := r.backlog.unsealed(); lost > 0 {
		r.journal.Close() //nolint:errcheck // the loss is what matters
		return fmt.Errorf("the usage of %d events is lost, because it could neither be stored nor written to the disk of --usage-journal", lost)
	}
	if n := r.backlog.length(); n > 0 {
		r.log.Info("Some usage could not be stored; it is in the journal, and is stored by whoever starts with that next", "batches", n)
	}
	return r.journal.Close()
}
