package usage

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// page is one page of a feed: of keys, of groups or of limits.
type page[Item any] struct {
	epoch  string
	next   int64
	items  []Item
	shared bool
	// counted is what the verifier said of CountedUntil.
	counted time.Time
}

// cursor reads a feed to its end, and from the beginning where that is called for.
type cursor[Item any] struct {
	read  func(ctx context.Context, after int64) (page[Item], error)
	epoch string
	after int64
	// whole says that the last reading began at the beginning, and shared that what it brought is of all verifiers.
	whole, shared bool
	// counted is what the first page of the last reading said: those after it may know more.
	counted time.Time

	// again says that a status lost what the feed has told before.
	again      atomic.Bool
	mayRestart time.Time
}

// A feed of a million keys takes a verifier some seconds: nobody who empties statuses can have it told more
// often than this.
const restartEvery = 5 * time.Minute

var (
	errBackwards = errors.New("the verifier's feed goes back: its next is before what was asked for")
	errEpochs    = errors.New("the verifier's feed begins anew again and again: do several verifiers with a database each share --verifier-url?")
)

// readAll hands everything that changed since the last call to observe, oldest change first.
func (c *cursor[Item]) readAll(ctx context.Context, now time.Time, observe func([]Item)) error {
	if !now.Before(c.mayRestart) && c.again.Swap(false) {
		c.after, c.mayRestart = 0, now.Add(restartEvery)
	}
	restarted := false
	c.whole = c.after == 0
	for first := true; ; first = false {
		p, err := c.read(ctx, c.after)
		switch {
		case err != nil:
			return err
		case p.epoch != c.epoch && c.after > 0:
			if restarted {
				return errEpochs
			}
			c.epoch, c.after, restarted, c.whole, c.counted = p.epoch, 0, true, true, p.counted
			continue
		case p.next < c.after:
			return errBackwards
		}
		if first {
			c.counted = p.counted
		}
		c.epoch, c.shared = p.epoch, p.shared
		observe(p.items)
		if p.next == c.after {
			return nil
		}
		c.after = p.next
	}
}
