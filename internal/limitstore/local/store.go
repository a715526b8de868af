// Package local keeps what has been used of the limits, in this process. Each verifier
// counts for itself: behind n of them a limit admits up to n times as much.
package local

import (
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/internal/limit"
)

// Counter identifies a rate of a limit, for as long as there is that rate. An edited rate
// keeps its Counter, so that an edit hands out no new allowance.
type Counter uint32

// Subject identifies whose requests are counted together: those of an ApiKey, a
// ServiceAccount or a Workspace. A new one under an old name is another. An ApiKey's follows from its
// UID, which is random; the others are given out by NewSubject.
type Subject uint64

// Rate is a rate with what it is counted under.
type Rate struct {
	limit.Rate
	Counter Counter
}

// Store owns the buckets: one for each Counter and Subject, made when the subject first asks,
// so that what was never used costs nothing. Its methods may be called from any goroutine, and
// Bucket waits for nobody unless a bucket has to be made.
type Store struct {
	table atomic.Pointer[table]

	mu           sync.Mutex // guards all below, and orders the writing of the table
	limits       map[types.UID][]Rate
	lastCounter  Counter
	lastSubject  Subject
	goneCounters map[Counter]struct{}
	goneSubjects map[Subject]struct{}
	spare        []limit.Bucket
}

// NewStore makes an empty store.
func NewStore() *Store {
	s := &Store{
		limits:       map[types.UID][]Rate{},
		goneCounters: map[Counter]struct{}{},
		goneSubjects: map[Subject]struct{}{},
	}
	s.table.Store(newTable(0))
	return s
}

// Define sets the rates of a limit and returns them with their Counters, and the Counters that it
// has no more. Those are for Forget, once nobody asks for their buckets.
func (s *Store) Define(id types.UID, rates []limit.Rate) (fresh []Rate, gone []Counter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.limits[id]
	fresh = make([]Rate, len(rates))
	kept := make([]bool, len(before))
	for i, from := range successors(before, rates) {
		fresh[i].Rate = rates[i]
		if from >= 0 {
			fresh[i].Counter, kept[from] = before[from].Counter, true
		} else {
			s.lastCounter++
			fresh[i].Counter = s.lastCounter
		}
	}
	for i, rate := range before {
		if !kept[i] {
			gone = append(gone, rate.Counter)
		}
	}
	s.limits[id] = fresh
	return fresh, gone
}

// Forget drops what was used of rates that are gone.
func (s *Store) Forget(counters []Counter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, counter := range counters {
		s.goneCounters[counter] = struct{}{}
	}
	s.tidy()
}

// NewSubject returns a Subject that has used nothing.
func (s *Store) NewSubject() Subject {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastSubject++
	return s.lastSubject
}

// ForgetSubject lets what a subject has used be dropped, because it no longer exists.
func (s *Store) ForgetSubject(subject Subject) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.goneSubjects[subject] = struct{}{}
	s.tidy()
}

// ReviveSubject takes back ForgetSubject, because it exists again.
func (s *Store) ReviveSubject(subject Subject) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.goneSubjects, subject)
}

// ForgetLimit drops what was used of a limit, because it no longer exists.
func (s *Store) ForgetLimit(id types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rate := range s.limits[id] {
		s.goneCounters[rate.Counter] = struct{}{}
	}
	delete(s.limits, id)
	s.tidy()
}

// Bucket is where a subject's requests are counted against a rate: the same one each time.
func (s *Store) Bucket(counter Counter, subject Subject) *limit.Bucket {
	if bucket := s.table.Load().find(counter, subject); bucket != nil {
		return bucket
	}
	return s.make(counter, subject)
}

func (s *Store) make(counter Counter, subject Subject) *limit.Bucket {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table.Load()
	if bucket := t.find(counter, subject); bucket != nil {
		return bucket
	}
	if t.full() {
		t = s.rebuild(t)
	}
	if len(s.spare) == 0 {
		s.spare = make([]limit.Bucket, bucketsAtOnce)
	}
	bucket := &s.spare[0]
	s.spare = s.spare[1:]
	t.put(counter, subject, bucket)
	return bucket
}

// Buckets are made some at once: alone, each would cost a word for the allocator too.
const bucketsAtOnce = 256

// What is gone is looked for only once there is this much of it: a rebuild looks at all buckets.
const tidyAfter = 1024

func (s *Store) tidy() {
	gone := len(s.goneSubjects) + len(s.goneCounters)
	if gone >= tidyAfter && gone >= s.table.Load().used {
		s.rebuild(s.table.Load())
	}
}

// rebuild makes a table without what is gone, and with room for more.
func (s *Store) rebuild(old *table) *table {
	keep := func(counter Counter, subject Subject) bool {
		_, counterGone := s.goneCounters[counter]
		_, subjectGone := s.goneSubjects[subject]
		return !counterGone && !subjectGone
	}
	fresh := old.rebuilt(keep)
	clear(s.goneCounters)
	clear(s.goneSubjects)
	s.table.Store(fresh)
	return fresh
}
