package local

import (
	"math/bits"
	"sync/atomic"

	"github.com/claviger-dev/claviger/internal/limit"
)

// table leads from a Counter and a Subject to a bucket: open addressing, read without a lock.
// Buckets do not move, so what is counted while a table is rebuilt is not lost.
type table struct {
	slots []slot
	used  int
}

type slot struct {
	counter atomic.Uint32 // 0: empty
	subject Subject       // written before the counter, and never again
	bucket  *limit.Bucket // likewise
}

const smallestTable = 64

func newTable(size int) *table { return &table{slots: make([]slot, max(size, smallestTable))} }

// home spreads counters, which are given out in order, and subjects (the finalizer of MurmurHash3).
func (t *table) home(counter Counter, subject Subject) int {
	h := uint64(subject) + uint64(counter)*0x9e3779b97f4a7c15
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	high, _ := bits.Mul64(h, uint64(len(t.slots)))
	return int(high)
}

// find returns nil where there is no bucket, or none yet.
func (t *table) find(counter Counter, subject Subject) *limit.Bucket {
	for i := t.home(counter, subject); ; {
		s := &t.slots[i]
		switch found := Counter(s.counter.Load()); {
		case found == 0:
			return nil
		case found == counter && s.subject == subject:
			return s.bucket
		}
		if i++; i == len(t.slots) {
			i = 0
		}
	}
}

func (t *table) full() bool { return 3*(t.used+1) > 2*len(t.slots) }

func (t *table) put(counter Counter, subject Subject, bucket *limit.Bucket) {
	i := t.home(counter, subject)
	for t.slots[i].counter.Load() != 0 {
		if i++; i == len(t.slots) {
			i = 0
		}
	}
	t.slots[i].subject, t.slots[i].bucket = subject, bucket
	t.slots[i].counter.Store(uint32(counter)) // last: by it readers know that the rest is there
	t.used++
}

func (t *table) rebuilt(keep func(Counter, Subject) bool) *table {
	live := 0
	t.each(func(s *slot) {
		if keep(Counter(s.counter.Load()), s.subject) {
			live++
		}
	})
	fresh := newTable(live * 5 / 2)
	t.each(func(s *slot) {
		if counter := Counter(s.counter.Load()); keep(counter, s.subject) {
			fresh.put(counter, s.subject, s.bucket)
		}
	})
	return fresh
}

func (t *table) each(look func(*slot)) {
	for i := range t.slots {
		if t.slots[i].counter.Load() != 0 {
			look(&t.slots[i])
		}
	}
}
