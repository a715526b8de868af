package leased

import (
	"fmt"
	"sync"
	"time"
)

const (
	// mostAtOnce is how many draws go together. The store does nothing else meanwhile.
	mostAtOnce = 32
	// After a failure the store is left alone for a while, which doubles from the one to the other.
	firstPause, longestPause = 50 * time.Millisecond, time.Second
	// forgetFailure is when the failure of a Place that nobody asked for since is forgotten.
	forgetFailure = time.Minute
)

// queues bring the leases of a Place together: while one draw is under way, those that need one gather for the
// next. Each Place that has any is served by a goroutine, which ends when there is nothing more to do.
type queues struct {
	store *Store

	mu      sync.Mutex // may be taken under a lease's lock, and not the other way round
	byPlace map[string]*queue
	running int
	failing int           // queues that are
	quiet   chan struct{} // if not nil, closed when none is running
}

// queue is of one Place: it is reached as a whole, or not.
type queue struct {
	pending []*Lease
	running bool
	// Of the last draw, if that failed.
	err     error
	pause   time.Duration
	retryAt time.Time
}

// add puts a lease into its queue if that is new, and returns an error if the store has failed and is not to be asked
// now. After a pause, the first to ask is let through.
func (q *queues) add(l *Lease, isNew bool) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	place := q.store.drawer.Place(l.counter.Tag)
	of := q.byPlace[place]
	if of == nil {
		of = &queue{}
		q.byPlace[place] = of
	}
	if of.err != nil && (of.running || !q.store.stopping.Load() && !due(q.store.clock.Now(), of.retryAt, longestPause)) {
		return of.err
	}
	if isNew {
		of.pending = append(of.pending, l)
	}
	if !of.running {
		of.running = true
		q.running++
		go q.run(place, of)
	}
	return nil
}

func (q *queues) anyFailed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.failing > 0
}

func (q *queues) run(place string, of *queue) {
	for {
		batch, probe := q.next(place, of)
		if batch == nil {
			return
		}
		now := q.store.clock.Now()
		draws, leases := composed(now, batch, probe)
		if len(draws) == 0 {
			continue
		}
		grants, err := q.store.draw(now, draws)
		if err != nil {
			q.store.metrics.failed.Add(float64(len(draws)))
			for _, l := range q.fail(of, err, leases) {
				l.fail(of.err)
			}
			continue
		}
		q.succeed(of)
		q.again(of, q.store.apply(leases, draws, grants))
	}
}

// next takes what is to be drawn together, of a store that failed to see whether it answers.
func (q *queues) next(place string, of *queue) (batch []*Lease, probe bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(of.pending) == 0 {
		of.running = false
		q.running--
		if of.err == nil {
			delete(q.byPlace, place)
		}
		if q.running == 0 && q.quiet != nil {
			close(q.quiet)
			q.quiet = nil
		}
		return nil, false
	}
	n := min(len(of.pending), mostAtOnce)
	batch = of.pending[:n:n]
	of.pending = of.pending[n:]
	return batch, of.err != nil
}

func (q *queues) again(of *queue, leases []*Lease) {
	q.mu.Lock()
	defer q.mu.Unlock()
	of.pending = append(of.pending, leases...)
}

// fail begins a pause, or a longer one, and returns the leases that wait for the store, those that were just drawn for and the others.
func (q *queues) fail(of *queue, err error, leases []*Lease) []*Lease {
	q.mu.Lock()
	defer q.mu.Unlock()
	if of.err == nil {
		if q.failing++; q.failing == 1 {
			q.store.log.Error(err, "the shared store of limits cannot be asked; limits hold as the outage policy says, and it is tried again")
		}
	}
	of.err = fmt.Errorf("the shared store of limits cannot be asked: %w", err)
	of.pause = min(max(firstPause, 2*of.pause), longestPause)
	of.retryAt = q.store.clock.Now().Add(of.pause)
	leases = append(leases, of.pending...)
	of.pending = nil
	return leases
}

func (q *queues) succeed(of *queue) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if of.err != nil {
		of.err, of.pause = nil, 0
		q.answered()
	}
}

// answered is told when a queue fails no more.
func (q *queues) answered() {
	if q.failing--; q.failing == 0 {
		q.store.log.Info("the shared store of limits answers again")
	}
}

// tidy forgets the failures of Places that nobody asked for since.
func (q *queues) tidy(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for place, of := range q.byPlace {
		if of.err != nil && !of.running && now.Sub(of.retryAt) > forgetFailure {
			delete(q.byPlace, place)
			q.answered()
		}
	}
}

// rest is closed when no draw is under way.
func (q *queues) rest() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	quiet := q.quiet
	if quiet == nil {
		quiet = make(chan struct{})
		if q.running == 0 {
			close(quiet)
		} else {
			q.quiet = quiet
		}
	}
	return quiet
}
