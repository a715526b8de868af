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
	id     atomic.Uint64 // 0: empty
	bucket atomic.Pointer[limit.Bucket]
}

const smallestTable = 64

func newTable(size int) *table { return &table{slots: make([]slot, max(size, smallestTable))} }

func identity(counter Counter, subject Subject) uint64 { return uint64(counter)<<32 | uint64(subject) }
func counterOf(id uint64) Counter                      { return Counter(id >> 32) }
func subjectOf(id uint64) Subject                      { return Subject(id) }

// home spreads the numbers, which are given out in order (the finalizer of MurmurHash3).
func (t *table) home(id uint64) int {
	id ^= id >> 33
	id *= 0xff51afd7ed558ccd
	id ^= id >> 33
	id *= 0xc4ceb9fe1a85ec53
	id ^= id >> 33
	high, _ := bits.Mul64(id, uint64(len(t.slots)))
	return int(high)
}

// find returns nil where there is no bucket, or none yet.
func (t *table) find(id uint64) *limit.Bucket {
	for i := t.home(id); ; {
		switch t.slots[i].id.Load() {
		case id:
			return t.slots[i].bucket.Load()
		case 0:
			return nil
		}
		if i++; i == len(t.slots) {
			i = 0
		}
	}
}

func (t *table) full() bool { return 3*(t.used+1) > 2*len(t.slots) }

func (t *table) put(id uint64, bucket *limit.Bucket) {
	i := t.home(id)
	for t.slots[i].id.Load() != 0 {
		if i++; i == len(t.slots) {
			i = 0
		}
	}
	t.slots[i].bucket.Store(bucket) // before the id, by which readers find it
	t.slots[i].id.Store(id)
	t.used++
}

func (t *table) rebuilt(keep func(id uint64) bool) *table {
	live := 0
	for i := range t.slots {
		if id := t.slots[i].id.Load(); id != 0 && keep(id) {
			live++
		}
	}
	fresh := newTable(live * 5 / 2)
	for i := range t.slots {
		if id := t.slots[i].id.Load(); id != 0 && keep(id) {
			fresh.put(id, t.slots[i].bucket.Load())
		}
	}
	return fresh
}
