package usagerecorder

import (
	"math/rand/v2"
	"runtime"
	"sync/atomic"

	"github.com/claviger-dev/claviger/internal/usage"
)

// queue takes events from any number of requests without a lock that one could hold up
// another with, and gives them to one collector. It is several rings, so that requests on different
// processors seldom meet.
type queue struct {
	rings []ring
}

// ring is the bounded queue of D. Vyukov (Bounded MPMC queue, 1024cores.net), with one
// consumer: each cell tells by its turn whether it may be written or read.
type ring struct {
	tail  atomic.Uint64 // the next turn to write
	_     [56]byte      // a cache line of its own
	head  uint64        // the next turn to read
	_     [56]byte
	cells []cell
}

type cell struct {
	turn  atomic.Uint64
	event usage.Event
}

// So many events a ring takes between two times that whoever adds one lets others go first.
const yieldEvery = 1024

// newQueue makes a queue for size events, a power of two.
func newQueue(size int) queue {
	rings := 1
	for rings < runtime.GOMAXPROCS(0) && rings < size/64 {
		rings *= 2
	}
	q := queue{make([]ring, rings)}
	for i := range q.rings {
		q.rings[i].cells = make([]cell, size/rings)
		for turn := range q.rings[i].cells {
			q.rings[i].cells[turn].turn.Store(uint64(turn))
		}
	}
	return q
}

// push adds an event, or returns false where the queue is full.
func (q *queue) push(e *usage.Event) bool {
	first := int(rand.Uint32()) & (len(q.rings) - 1)
	for i := range q.rings {
		if q.rings[(first+i)&(len(q.rings)-1)].push(e) {
			return true
		}
	}
	return false
}

// drain hands over all that is there, and says whether there was anything.
func (q *queue) drain(take func(*usage.Event)) (any bool) {
	for i := range q.rings {
		if q.rings[i].drain(take) {
			any = true
		}
	}
	return any
}

func (r *ring) push(e *usage.Event) bool {
	turn := r.tail.Load()
	for {
		c := &r.cells[turn%uint64(len(r.cells))]
		switch at := c.turn.Load(); {
		case at == turn:
			if r.tail.CompareAndSwap(turn, turn+1) {
				c.event = *e
				c.turn.Store(turn + 1)
				if turn%yieldEvery == yieldEvery-1 {
					runtime.Gosched() // where all processors are busy, the collector would not get to one in time
				}
				return true
			}
			turn = r.tail.Load()
		case at < turn:
			return false // it was not read since the last time round
		default:
			turn = r.tail.Load()
		}
	}
}

func (r *ring) drain(take func(*usage.Event)) (any bool) {
	// No more than there is room for, or whoever is busiest would keep the others waiting.
	for range r.cells {
		c := &r.cells[r.head%uint64(len(r.cells))]
		if c.turn.Load() != r.head+1 {
			return any
		}
		take(&c.event)
		c.event.Refusal = nil // or it would be kept in memory until the place is written again
		c.turn.Store(r.head + uint64(len(r.cells)))
		r.head++
		any = true
	}
	return any
}
