// Package local keeps what has been used of the limits, in this process.
//
// Where verifiers share their limits it keeps what this one knows of what they have used together.
package local

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/internal/limit"
)

// Counter identifies a rule of a limit in this process, for as long as there is that rule. An edited rule
// keeps its Counter, or what was counted goes over to its new one, so that an edit hands out no new allowance.
type Counter uint32

// Subject identifies whose requests are counted together: those of an ApiKey, a
// ServiceAccount, a Workspace, or an entity or a department of one. A new object under an old name is another. It
// is the same in every process.
type Subject uint64

// SubjectOf is the Subject that texts identify together.
func SubjectOf(texts ...string) Subject {
	var all []byte
	for _, text := range texts {
		all = append(binary.AppendUvarint(all, uint64(len(text))), text...)
	}
	sum := sha256.Sum256(all)
	return Subject(binary.BigEndian.Uint64(sum[:]) | 1) // zero is nobody
}

// Rule is a rule with what it is counted under.
type Rule struct {
	limit.Rule
	Counter Counter
	// Name tells the rule from others of its limit, in every process.
	Name string
}

// cell is a bucket with what is on disk of it.
type cell struct {
	limit.Bucket
	saved uint64 // touched by whoever saves only
}

// Store owns the buckets: one for each Counter and Subject, made when the subject first asks,
// so that what was never used costs nothing. Its methods may be called from any goroutine, and
// Bucket and Slots wait for nobody unless one has to be made.
type Store struct {
	cells atomic.Pointer[table[cell]]
	slots atomic.Pointer[table[limit.Slots]]

	mu           sync.Mutex // guards all below, and orders the writing of the tables
	limits       map[types.UID][]Rule
	edition      int // of the limits
	lastCounter  Counter
	goneCounters map[Counter]struct{}
	goneSubjects map[Subject]struct{}
	spare        []cell
}

// NewStore makes an empty store.
func NewStore() *Store {
	s := &Store{
		limits:       map[types.UID][]Rule{},
		goneCounters: map[Counter]struct{}{},
		goneSubjects: map[Subject]struct{}{},
	}
	s.cells.Store(newTable[cell](0))
	s.slots.Store(newTable[limit.Slots](0))
	return s
}

// Define sets the rules of a limit and returns them with their Counters, and the Counters that it
// has no more. Those are for Forget, once nobody asks for their buckets.
func (s *Store) Define(id types.UID, rules []limit.Rule, now time.Time) (fresh []Rule, gone []Counter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.limits[id]
	fresh = make([]Rule, len(rules))
	kept := make([]bool, len(before))
	names := ruleNames(rules)
	for i, from := range successors(before, rules) {
		fresh[i].Rule, fresh[i].Name = rules[i], names[i]
		if from >= 0 && before[from].Kind == rules[i].Kind {
			fresh[i].Counter, kept[from] = before[from].Counter, true
			s.amend(&before[from], &fresh[i], now)
			continue
		}
		s.lastCounter++
		fresh[i].Counter = s.lastCounter
		if from >= 0 {
			s.carryOver(&before[from], &fresh[i], now)
		}
	}
	for i, rule := range before {
		if !kept[i] {
			gone = append(gone, rule.Counter)
		}
	}
	s.limits[id] = fresh
	s.edition++
	return fresh, gone
}

// amend lets buckets go on under an edited rule. A request that is under way and still knows the old rule reads them
// wrongly for a moment, by less than the edit itself makes of a difference.
func (s *Store) amend(before, after *Rule, now time.Time) {
	renamed := before.Name != after.Name
	if before.Equal(&after.Rule) && !renamed {
		return
	}
	s.cells.Load().each(func(counter Counter, _ Subject, c *cell) {
		if counter == after.Counter {
			c.Amend(func(word uint64) uint64 { return after.Carry(&before.Rule, word, now) })
		}
	})
}

// carryOver makes buckets for a rule that counts the same thing otherwise, in which as much is used.
func (s *Store) carryOver(before, after *Rule, now time.Time) {
	s.cells.Load().each(func(counter Counter, subject Subject, c *cell) {
		if counter == before.Counter {
			s.make(after.Counter, subject).SetWord(after.Carry(&before.Rule, c.Word(), now))
		}
	})
}

// Bucket is where a subject's requests are counted against a rule: the same one each time.
func (s *Store) Bucket(counter Counter, subject Subject) *limit.Bucket {
	if c := s.cells.Load().find(counter, subject); c != nil {
		return &c.Bucket
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &s.make(counter, subject).Bucket
}

// Slots are where a subject's requests under way are held against a rule: the same ones each time.
func (s *Store) Slots(counter Counter, subject Subject) *limit.Slots {
	if slots := s.slots.Load().find(counter, subject); slots != nil {
		return slots
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.slots.Load()
	if slots := t.find(counter, subject); slots != nil {
		return slots
	}
	if t.full() {
		t = t.rebuilt(s.keeps)
		s.slots.Store(t)
	}
	slots := &limit.Slots{}
	t.put(counter, subject, slots)
	return slots
}

// make finds a cell, or makes it.
func (s *Store) make(counter Counter, subject Subject) *cell {
	t := s.cells.Load()
	if c := t.find(counter, subject); c != nil {
		return c
	}
	if t.full() {
		t = s.rebuild(t)
	}
	if len(s.spare) == 0 {
		s.spare = make([]cell, cellsAtOnce)
	}
	c := &s.spare[0]
	s.spare = s.spare[1:]
	t.put(counter, subject, c)
	return c
}

// Cells are made some at once: alone, each would cost a word for the allocator too.
const cellsAtOnce = 256
