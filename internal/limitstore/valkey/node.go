package valkey

import (
	"context"
	"sync/atomic"
	"time"
)

// node is a server that may be written to, or that could not be a moment ago.
type node struct {
	store *Store
	addr  string
	// verifiers is the key by which they are counted there.
	verifiers atomic.Pointer[string]
	current   atomic.Pointer[connection]
	tried     atomic.Bool // whether it is known how the server is
	stop      context.CancelFunc
}

// probe is how long after another a server that is away is tried.
const probe = 250 * time.Millisecond

// use is the connection to ask by; nil while the server is away.
func (n *node) use() *connection {
	if c := n.current.Load(); c != nil && !c.over.Load() {
		return c
	}
	return nil
}

// run keeps a connection, until ctx ends.
func (n *node) run(ctx context.Context) {
	for ctx.Err() == nil {
		c, err := n.connect(ctx)
		if err == nil {
			n.current.Store(c)
		}
		n.tried.Store(true)
		if err == nil {
			n.store.changed(nil)
			err = n.supervise(ctx, c)
		}
		if ctx.Err() != nil {
			return
		}
		n.store.changed(err)
		n.rest(ctx)
	}
}

// rest waits until it is worth trying again: not so soon where another server is in use, and this
// is its replica.
func (n *node) rest(ctx context.Context) {
	if now := n.store.servers.Load(); now != nil && now.slots == nil && now.complete() {
		pause(ctx, beat)
		return
	}
	pause(ctx, probe)
}

// connect connects, and finds out whether the server can be written to and answers in time.
func (n *node) connect(ctx context.Context) (*connection, error) {
	c, err := n.store.open(ctx, n.addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, n.store.options.Timeout, errLate)
	defer cancel()
	if err := n.store.beat(ctx, c, *n.verifiers.Load()); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		c.fail(err)
		return nil, c.cause
	}
	return c, nil
}

// supervise waits until the connection is over, and sees to it that it is when an answer is late.
func (n *node) supervise(ctx context.Context, c *connection) error {
	hand := time.NewTicker(tick(n.store.options.Timeout))
	defer hand.Stop()
	beats := time.NewTicker(beat)
	defer beats.Stop()
	beating := make(chan struct{}, 1)
	for {
		select {
		case <-ctx.Done():
			n.leave(c, beating)
			return errOver
		case <-c.failed:
			return c.cause
		case <-hand.C:
			if c.watch.move() {
				c.fail(errLate)
			}
		case <-beats.C:
			select {
			case beating <- struct{}{}:
				go func() {
					// Not to be cut short by the end of ctx, but only with the connection.
					if err := n.store.beat(context.Background(), c, *n.verifiers.Load()); err != nil {
						c.fail(err)
					}
					<-beating
				}()
			default: // the one before is still under way
			}
		}
	}
}

// leave tells the server that this verifier is gone, once the last heartbeat is through.
func (n *node) leave(c *connection, beating chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), n.store.options.Timeout)
	defer cancel()
	select {
	case beating <- struct{}{}:
		n.store.leave(ctx, c, *n.verifiers.Load())
	case <-ctx.Done():
	}
	c.fail(errOver)
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
