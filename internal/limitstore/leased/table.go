package leased

import (
	"math/bits"
	"sync/atomic"

	"github.com/claviger-dev/claviger/internal/limitstore"
)

// table leads from a Counter to its Lease: open addressing, read without a lock.
type table struct {
	slots []slot
	used  int
}

type slot struct {
	hash  uint64                // written before the lease, and never again
	lease atomic.Pointer[Lease] // nil: empty
}

const smallestTable = 64

func newTable(size int) *table { return &table{slots: make([]slot, max(size, smallestTable))} }

func (t *table) home(hash uint64) int {
	high, _ := bits.Mul64(hash, uint64(len(t.slots)))
	return int(high)
}

// find returns nil where there is no lease, or none yet. It may be dead.
func (t *table) find(hash uint64, counter *limitstore.Counter) *Lease {
	for i := t.home(hash); ; {
		s := &t.slots[i]
		l := s.lease.Load()
		if l == nil || s.hash == hash && l.counter == *counter {
			return l
		}
		if i++; i == len(t.slots) {
			i = 0
		}
	}
}

func (t *table) full() bool { return 3*(t.used+1) > 2*len(t.slots) }

func (t *table) put(l *Lease) {
	i := t.home(l.hash)
	for t.slots[i].lease.Load() != nil {
		if i++; i == len(t.slots) {
			i = 0
		}
	}
	t.slots[i].hash = l.hash
	t.slots[i].lease.Store(l) // last: by it readers know that the rest is there
	t.used++
}

// replace puts a lease where the one before it of the same counter is.
func (t *table) replace(before, l *Lease) {
	for i := t.home(l.hash); ; {
		if t.slots[i].lease.CompareAndSwap(before, l) {
			return
		}
		if i++; i == len(t.slots) {
			i = 0
		}
	}
}

// rebuilt is a table without the dead, and with room for more. Whoever dies meanwhile stays in it,
// and is replaced when it is asked for.
func (t *table) rebuilt() *table {
	var live []*Lease
	t.each(func(l *Lease) {
		if !l.dead.Load() {
			live = append(live, l)
		}
	})
	fresh := newTable(len(live) * 5 / 2)
	for _, l := range live {
		fresh.put(l)
	}
	return fresh
}

func (t *table) each(look func(*Lease)) {
	for i := range t.slots {
		if l := t.slots[i].lease.Load(); l != nil {
			look(l)
		}
	}
}
