package feed

import (
	"context"
	"slices"
	"sync"
)

// barrier holds lists back until those of all kinds are there. It stands where the verifier
// serves from a snapshot. Kinds come back one by one, perhaps long apart, and there is no order
// in which a mixture of old and new would be safe: a key may have been narrowed and its ceiling
// raised after that, or the ceiling lowered and the key widened; a leaked key may have been
// replaced and its successor allowed more. Each was safe at every moment, and old of one kind
// with new of another is a moment that never was. So it is the snapshot until all is
// known, then the cluster: what is left is the instant in which the lists are applied, as it
// is between any two watches.
type barrier struct {
	ctx context.Context

	mu      sync.Mutex
	waiting []string // kinds whose list is not there
	open    chan struct{}
}

// newBarrier makes a barrier for these kinds. A nil barrier holds nothing back.
func newBarrier(ctx context.Context, kinds []string) *barrier {
	return &barrier{ctx: ctx, waiting: slices.Clone(kinds), open: make(chan struct{})}
}

func (b *barrier) holds() bool {
	if b == nil {
		return false
	}
	select {
	case <-b.open:
		return false
	default:
		return true
	}
}

// arrive says that a kind's list is there, and waits for those of the others.
func (b *barrier) arrive(kind string) error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	if i := slices.Index(b.waiting, kind); i >= 0 {
		if b.waiting = slices.Delete(b.waiting, i, i+1); len(b.waiting) == 0 {
			close(b.open)
		}
	}
	b.mu.Unlock()
	select {
	case <-b.open:
		return nil
	case <-b.ctx.Done():
		return context.Cause(b.ctx)
	}
}
