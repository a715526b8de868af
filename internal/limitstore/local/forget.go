package local

import "k8s.io/apimachinery/pkg/types"

// Forget drops what was used of rules that are gone.
func (s *Store) Forget(counters []Counter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, counter := range counters {
		s.goneCounters[counter] = struct{}{}
	}
	s.tidy()
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
	for _, rule := range s.limits[id] {
		s.goneCounters[rule.Counter] = struct{}{}
	}
	delete(s.limits, id)
	s.edition++
	s.tidy()
}

// What is gone is looked for only once there is this much of it: a rebuild looks at all buckets.
const tidyAfter = 1024

func (s *Store) tidy() {
	gone := len(s.goneSubjects) + len(s.goneCounters)
	if gone >= tidyAfter && gone >= s.cells.Load().used {
		s.rebuild(s.cells.Load())
	}
}

func (s *Store) keeps(counter Counter, subject Subject) bool {
	_, counterGone := s.goneCounters[counter]
	_, subjectGone := s.goneSubjects[subject]
	return !counterGone && !subjectGone
}

// rebuild makes tables without what is gone, and with room for more.
func (s *Store) rebuild(old *table[cell]) *table[cell] {
	fresh := old.rebuilt(s.keeps)
	s.slots.Store(s.slots.Load().rebuilt(s.keeps))
	clear(s.goneCounters)
	clear(s.goneSubjects)
	s.cells.Store(fresh)
	return fresh
}
