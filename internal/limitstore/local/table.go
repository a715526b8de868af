package local

import (
	"math/bits"
	"sync/atomic"
)

// table leads from a Counter and a Subject to a value: open addressing, read without a lock.
// Values do not move, so what is counted while a table is rebuilt is not lost.
type table[Value any] struct {
	slots []slot[Value]
	used  int
}

type slot[Value any] struct {
	counter atomic.Uint32 // 0: empty
	subject Subject       // written before the counter, and never again
	value   *Value        // likewise
}

const smallestTable = 64

func newTable[Value any](size int) *table[Value] {
	return &table[Value]{slots: make([]slot[Value], max(size, smallestTable))}
}

// home spreads counters, which are given out in order, and subjects (the finalizer of MurmurHash3).
func (t *table[Value]) home(counter Counter, subject Subject) int {
	h := uint64(subject) + uint64(counter)*0x9e3779b97f4a7c15
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	high, _ := bits.Mul64(h, uint64(len(t.slots)))
	return int(high)
}

// find returns nil where there is no value, or none yet.
func (t *table[Value]) find(counter Counter, subject Subject) *Value {
	for i := t.home(counter, subject); ; {
		s := &t.slots[i]
		switch found := Counter(s.counter.Load()); {
		case found == 0:
			return nil
		case found == counter && s.subject == subject:
			return s.value
		}
		if i++; i == len(t.slots) {
			i = 0
		}
	}
}

func (t *table[Value]) full() bool { return 3*(t.used+1) > 2*len(t.slots) }

func (t *table[Value]) put(counter Counter, subject Subject, value *Value) {
	i := t.home(counter, subject)
	for t.slots[i].counter.Load() != 0 {
		if i++; i == len(t.slots) {
			i = 0
		}
	}
	t.slots[i].subject, t.slots[i].value = subject, value
	t.slots[i].counter.Store(uint32(counter)) // last: by it readers know that the rest is there
	t.used++
}

func (t *table[Value]) rebuilt(keep func(Counter, Subject) bool) *table[Value] {
	live := 0
	t.each(func(counter Counter, subject Subject, _ *Value) {
		if keep(counter, subject) {
			live++
		}
	})
	fresh := newTable[Value](live * 5 / 2)
	t.each(func(counter Counter, subject Subject, value *Value) {
		if keep(counter, subject) {
			fresh.put(counter, subject, value)
		}
	})
	return fresh
}

// each may be called while somebody puts something in.
func (t *table[Value]) each(look func(Counter, Subject, *Value)) {
	for i := range t.slots {
		if counter := t.slots[i].counter.Load(); counter != 0 {
			look(Counter(counter), t.slots[i].subject, t.slots[i].value)
		}
	}
}
