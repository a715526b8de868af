// Package local keeps what has been used of the limits, in this process. Each verifier
// counts for itself: behind n of them a limit admits up to n times as much.
package local

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/internal/limit"
)

// Store owns the buckets: one for each rate of a limit and each subject, which is the
// ApiKey, the ServiceAccount or the Workspace whose requests are counted together. Buckets are
// looked up when a limit is attached to a key, never while a request waits; whoever attached
// them counts in them without the Store. It is not safe for concurrent use.
type Store struct {
	limits   map[types.UID]*counters
	subjects map[types.UID][]*counters // where a subject has buckets
}

// counters are the buckets of one limit.
type counters struct {
	rates   []limit.Rate
	buckets map[types.UID][]*limit.Bucket // by subject, in the order of rates
}

// NewStore makes an empty store.
func NewStore() *Store {
	return &Store{limits: map[types.UID]*counters{}, subjects: map[types.UID][]*counters{}}
}

// Define sets the rates of a limit. A rate that was only edited goes on with its buckets, so
// that an edit hands out no new allowance; those of a rate that is gone are dropped.
func (s *Store) Define(id types.UID, rates []limit.Rate) {
	c := s.limits[id]
	if c == nil {
		s.limits[id] = &counters{rates: rates, buckets: map[types.UID][]*limit.Bucket{}}
		return
	}
	origin := successors(c.rates, rates)
	for subject, old := range c.buckets {
		fresh := make([]*limit.Bucket, len(rates))
		for i, from := range origin {
			if from >= 0 {
				fresh[i] = old[from]
			} else {
				fresh[i] = new(limit.Bucket)
			}
		}
		c.buckets[subject] = fresh
	}
	c.rates = rates
}

// Attach returns the rates of a limit with the subject's buckets: the same ones each time.
// A limit that was never defined has none.
func (s *Store) Attach(id, subject types.UID) []limit.Attached {
	c := s.limits[id]
	if c == nil {
		return nil
	}
	buckets, ok := c.buckets[subject]
	if !ok {
		buckets = make([]*limit.Bucket, len(c.rates))
		for i := range buckets {
			buckets[i] = new(limit.Bucket)
		}
		c.buckets[subject] = buckets
		s.subjects[subject] = append(s.subjects[subject], c)
	}
	attached := make([]limit.Attached, len(c.rates))
	for i, rate := range c.rates {
		attached[i] = limit.Attached{Rate: rate, Bucket: buckets[i]}
	}
	return attached
}

// ForgetSubject drops what a subject has used, because it no longer exists.
func (s *Store) ForgetSubject(subject types.UID) {
	for _, c := range s.subjects[subject] {
		delete(c.buckets, subject)
	}
	delete(s.subjects, subject)
}

// ForgetLimit drops what was used of a limit, because it no longer exists.
func (s *Store) ForgetLimit(id types.UID) {
	c := s.limits[id]
	if c == nil {
		return
	}
	delete(s.limits, id)
	for subject := range c.buckets {
		others := slices.DeleteFunc(s.subjects[subject], func(o *counters) bool { return o == c })
		if len(others) == 0 {
			delete(s.subjects, subject)
		} else {
			s.subjects[subject] = others
		}
	}
}
