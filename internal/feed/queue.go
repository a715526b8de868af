package feed

import (
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

// queue hands the changes of Workspaces, ServiceAccounts and KeyLimits to the index, one after another. Any
// of them may make it compile all keys beneath, and that of one tenant must keep no reflector from
// seeing the suspension of another. Of the same object only the latest change is made, in the place of the first.
type queue struct {
	clock clock.PassiveClock
	since atomic.Pointer[time.Time] // the oldest change; nil: there is none

	mu     sync.Mutex
	wakes  *sync.Cond
	order  []any
	tasks  map[any]*task
	begun  *task // the one that is being done
	closed bool
}

// task is one change.
type task struct {
	do func()
	// stop is called at once and, where do did not know of it yet, after that again; nil: nothing is stopped.
	stop  func()
	since time.Time
}

func newQueue(c clock.PassiveClock) *queue {
	q := &queue{clock: c, tasks: map[any]*task{}}
	q.wakes = sync.NewCond(&q.mu)
	return q
}

// add takes a change of what id names. It waits for no other.
func (q *queue) add(id any, do, stop func()) {
	q.mu.Lock()
	t := q.tasks[id]
	if t == nil {
		t = &task{since: q.clock.Now()}
		q.tasks[id] = t
		q.order = append(q.order, id)
	}
	t.do, t.stop = do, stop
	q.note()
	q.wakes.Signal()
	q.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// then calls done when all that was added before has been done.
func (q *queue) then(done func()) { q.add(new(byte), done, nil) }

// run makes the changes until the queue is closed and empty.
func (q *queue) run() {
	for {
		id, ok := q.next()
		if !ok {
			return
		}
		q.begun.do()
		// An older change may have begun after a stop, and undone it.
		q.mu.Lock()
		q.begun = nil
		q.note()
		var stop func()
		if later := q.tasks[id]; later != nil {
			stop = later.stop
		}
		q.mu.Unlock()
		if stop != nil {
			stop()
		}
	}
}

func (q *queue) next() (id any, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.order) == 0 {
		if q.closed {
			return nil, false
		}
		q.wakes.Wait()
	}
	id = q.order[0]
	q.order[0] = nil
	q.order = q.order[1:]
	q.begun = q.tasks[id]
	delete(q.tasks, id)
	q.note()
	return id, true
}

// close lets run end when the rest is done.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.wakes.Signal()
	q.mu.Unlock()
}

// note takes note of how old the oldest change is. It must be called with mu held.
func (q *queue) note() {
	t := q.begun
	if t == nil && len(q.order) > 0 {
		t = q.tasks[q.order[0]]
	}
	if t == nil {
		q.since.Store(nil)
		return
	}
	q.since.Store(&t.since)
}

// oldest is for how long a change has been waiting, or been made; zero: there is none. It is asked for each request,
// and waits for nobody.
func (q *queue) oldest() time.Duration {
	since := q.since.Load()
	if since == nil {
		return 0
	}
	return max(0, q.clock.Since(*since))
}
