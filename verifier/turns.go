package verifier

import (
	"context"
	"sync"

	"github.com/claviger-dev/claviger/internal/keyid"
)

// turns lets the reports of one request be taken in one after the other. The zero value is ready.
type turns struct {
	mu   sync.Mutex
	held map[turn]chan struct{} // nil: nobody waits for it; else it is closed when the turn is over
}

type turn struct {
	key     keyid.ID
	request string
}

// take waits until nobody else holds the turn. The error is that of the context.
func (t *turns) take(ctx context.Context, wanted turn) error {
	for {
		over := t.try(wanted)
		if over == nil {
			return nil
		}
		select {
		case <-over:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// try takes a turn, or tells when to try again.
func (t *turns) try(wanted turn) (over <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	waiting, taken := t.held[wanted]
	if !taken {
		if t.held == nil {
			t.held = map[turn]chan struct{}{}
		}
		t.held[wanted] = nil
		return nil
	}
	if waiting == nil {
		waiting = make(chan struct{})
		t.held[wanted] = waiting
	}
	return waiting
}

func (t *turns) leave(held turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if waiting := t.held[held]; waiting != nil {
		close(waiting)
	}
	delete(t.held, held)
}
