package feed

import (
	"context"
	"fmt"
	"time"
)

// How long after an empty list a second one is asked for: enough for an API server that has
// just started, or lost its storage for a moment, to know better.
const confirmAfter = 3 * time.Second

// confirmEmpty asks again whether there is nothing left of a kind that had objects before.
// An API server over an empty or half restored etcd says so in earnest, and to believe it would
// refuse every key at once. An error means that it is not so, or not known.
//
// The reflector waits meanwhile. Its watch is open, so what happens in these seconds is not lost.
func (f *Feed) confirmEmpty(ctx context.Context, s *source) error {
	f.log.Info("the API server lists nothing of what was there before; asking again before it is believed", "resource", s.name)
	select {
	case <-f.clock.After(confirmAfter):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	some, err := s.any(ctx)
	switch {
	case err != nil:
		f.emptyLists.WithLabelValues(s.name, "unanswered").Inc()
		return fmt.Errorf("an empty list of %s is not believed, because it cannot be confirmed: %w", s.name, err)
	case some:
		f.emptyLists.WithLabelValues(s.name, "refuted").Inc()
		return fmt.Errorf("an empty list of %s is not believed: asked again, the API server has some", s.name)
	}
	f.emptyLists.WithLabelValues(s.name, "confirmed").Inc()
	f.log.Info("the API server still has nothing; it is believed", "resource", s.name)
	return nil
}
