package usagerecorder

import (
	"math/rand/v2"
	"runtime"
	"sync/atomic"

	"github.com/claviger-dev/claviger/internal/usage"
)

// queue takes events from any number of requests without a lock that one could hold up
// another with, and gives them to one collector. It is several rings, so that requests on different
// processors seldom meet, and each is so small that it stays in the processor's cache. What they cannot hold goes into
// a large one.
type queue struct {
	rings []ring
	large *ring
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

// newQueue makes a queue of rings for so many events each, and for so many more in the large one.
func newQueue(small, large int) queue {
	rings := 1
	for rings < runtime.GOMAXPROCS(0) {
		rings *= 2
	}
	q := queue{make([]ring, rings), &ring{}}
	for i := range q.rings {
		q.rings[i].begin(small)
	}
	q.large.begin(large)
	return q
}

func (r *ring) begin(size int) {
	r.cells = make([]cell, size)
	for turn := range r.cells {
		r.cells[turn].turn.Store(uint64(turn))
	}
}

// push adds an event, or returns false where the queue is full.
func (q *queue) push(e *usage.Event) bool {
	return q.rings[int(rand.Uint32())&(len(q.rings)-1)].push(e) || q.large.push(e)
}

// drain hands over all that is there, and says whether there was anything.
func (q *queue) drain(take func(*usage.Event)) (any bool) {
	for i := range q.rings {
		if q.rings[i].drain(take) {
			any = true
		}
	}
	if q.large.drain(take) {
		any = true
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
