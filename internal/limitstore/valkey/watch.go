package valkey

import (
	"sync/atomic"
	"time"
)

// watch tells when a request has been under way for too long. A timer and a context for each would
// cost more than all else that is done here for it, so requests are counted by the time in which they began:
// a hand goes around, and where it comes back to is looked whether anybody is still there.
//
// A process that was itself held up does not take the server for slow: the hand stood still as well.
type watch struct {
	hand  atomic.Uint32
	begun [2 * hours]atomic.Int64 // those under way, by when they began
}

// So many moves of the hand are the time that a request has. It may get one move more.
const hours = 4

// tick is how long after each other the hand moves.
func tick(timeout time.Duration) time.Duration { return max(time.Millisecond, timeout/hours) }

func (w *watch) begin() (place uint32) {
	place = w.hand.Load() % uint32(len(w.begun))
	w.begun[place].Add(1)
	return place
}

func (w *watch) end(place uint32) { w.begun[place].Add(-1) }

// move moves the hand on, and tells whether a request has used up its time.
func (w *watch) move() (late bool) {
	hand := w.hand.Add(1)
	// Who began at the place before this one has seen no whole move yet.
	place := (hand - 1 - hours) % uint32(len(w.begun))
	return w.begun[place].Load() > 0
}
