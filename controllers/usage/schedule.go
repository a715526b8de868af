package usage

import (
	"container/heap"
	"slices"
	"time"

	"golang.org/x/time/rate"
)

const (
	// No object's status is written more often than this.
	writeEvery = time.Minute
	// Up to so much is added, so that objects which began together spread out.
	writeJitter = 15 * time.Second
	// What next returns when there is nothing to wait for.
	forever = time.Duration(1<<63 - 1)
)

// schedule decides whose usage is written next, of keys, groups and limits: each at most once a minute, all
// together within a budget, and first the one whose status is the most out of date. It knows
// no clock and does no I/O. It is not safe for concurrent use.
type schedule struct {
	budget *rate.Limiter
	// jitter is somewhere between nothing and writeJitter.
	jitter func() time.Duration

	pending map[string]*entry
	waiting queue // those that were written less than a minute ago
	ready   queue
	// mayWrite is when one may be written again, by its id. Those that may at any time are not in it.
	mayWrite map[string]time.Time
	paused   time.Time
	arrivals int64
}

// entry is an object whose status is out of date.
type entry struct {
	news news
	// shown is the last use that the status tells of; zero where it tells of none. After a
	// failed write it is the time of that.
	shown time.Time
	// refused says that the last write was, and conflicts is how many in a row were stale.
	refused   bool
	conflicts int
	// due is when it may be written; order is that of arrival.
	due   time.Time
	order int64
}

func newSchedule(writesPerSecond float64, jitter func() time.Duration) *schedule {
	return &schedule{
		budget:   rate.NewLimiter(rate.Limit(writesPerSecond), 1),
		jitter:   jitter,
		pending:  make(map[string]*entry),
		mayWrite: make(map[string]time.Time),
		waiting:  queue{before: func(a, b *entry) bool { return a.due.Before(b.due) }},
		ready:    queue{before: moreStale},
	}
}

// moreStale puts one without any usage in its status first. Among equals the one that has
// waited longer comes first.
func moreStale(a, b *entry) bool {
	if !a.shown.Equal(b.shown) {
		return a.shown.Before(b.shown)
	}
	return a.order < b.order
}

// observe notes the newest usage of an object, whose status tells of a last use at shown.
func (s *schedule) observe(n news, shown, now time.Time) {
	if s.renew(n) {
		return
	}
	s.arrivals++
	e := &entry{news: n, shown: shown, due: s.mayWrite[n.id()], order: s.arrivals}
	s.pending[n.id()] = e
	if e.due.After(now) {
		heap.Push(&s.waiting, e)
	} else {
		heap.Push(&s.ready, e)
	}
}

// renew puts the newest usage in place of what waits to be written, and says whether anything does.
func (s *schedule) renew(n news) bool {
	known := s.pending[n.id()]
	if known != nil {
		known.news = n
	}
	return known != nil
}

// next takes out the one to write now. Where there is none it says how long that stays so,
// unless something is observed.
func (s *schedule) next(now time.Time) (e *entry, wait time.Duration) {
	if wait := s.sort(now); wait > 0 {
		return nil, wait
	}
	if s.paused.After(now) {
		return nil, s.paused.Sub(now)
	}
	reservation := s.budget.ReserveN(now, 1)
	if delay := reservation.DelayFrom(now); delay > 0 {
		reservation.CancelAt(now)
		return nil, delay
	}
	e = heap.Pop(&s.ready).(*entry)
	delete(s.pending, e.news.id())
	return e, 0
}

// sort moves entries between the queues until the first that is ready may be written, and
// returns how long it takes until one may.
func (s *schedule) sort(now time.Time) (wait time.Duration) {
	for s.waiting.Len() > 0 && !s.waiting.entries[0].due.After(now) {
		heap.Push(&s.ready, heap.Pop(&s.waiting))
	}
	for s.ready.Len() > 0 && s.ready.entries[0].due.After(now) {
		heap.Push(&s.waiting, heap.Pop(&s.ready))
	}
	switch {
	case s.ready.Len() > 0:
		return 0
	case s.waiting.Len() > 0:
		return s.waiting.entries[0].due.Sub(now)
	}
	return forever
}

// written notes that an object's status was written.
func (s *schedule) written(id string, now time.Time) {
	s.mayWrite[id] = now.Add(writeEvery + s.jitter())
	if e := s.pending[id]; e != nil {
		// It changed while it was being written, and was queued as if it had not been.
		e.due = s.mayWrite[id]
	}
}

// again puts back what could not be written, to be tried from due on. By then the
// others come first, so that those which always fail hold up nobody. What was observed of it
// in the meantime is newer and stays.
func (s *schedule) again(e *entry, now, due time.Time) {
	if newer := s.pending[e.news.id()]; newer != nil {
		e.news = newer.news
		s.ready.remove(newer)
		s.waiting.remove(newer)
	}
	e.shown, e.due = now, due
	s.mayWrite[e.news.id()] = due
	s.pending[e.news.id()] = e
	heap.Push(&s.waiting, e)
}

// pause writes nothing until resume.
func (s *schedule) pause(resume time.Time) { s.paused = resume }

// forget drops what no longer matters, so that memory follows what is in use.
func (s *schedule) forget(now time.Time) {
	for id, at := range s.mayWrite {
		if !at.After(now) {
			delete(s.mayWrite, id)
		}
	}
}

// queue is a heap of entries.
type queue struct {
	entries []*entry
	before  func(a, b *entry) bool
}

func (q *queue) Len() int           { return len(q.entries) }
func (q *queue) Less(i, j int) bool { return q.before(q.entries[i], q.entries[j]) }
func (q *queue) Swap(i, j int)      { q.entries[i], q.entries[j] = q.entries[j], q.entries[i] }
func (q *queue) Push(e any)         { q.entries = append(q.entries, e.(*entry)) }
func (q *queue) Pop() any {
	last := len(q.entries) - 1
	e := q.entries[last]
	q.entries[last] = nil
	q.entries = q.entries[:last]
	return e
}

func (q *queue) remove(e *entry) {
	if i := slices.Index(q.entries, e); i >= 0 {
		heap.Remove(q, i)
	}
}
