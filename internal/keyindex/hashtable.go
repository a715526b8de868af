package keyindex

import (
	"math/bits"
	"sync/atomic"
)

// hashTable leads from a hash to the number of a credential: open addressing with linear
// probing, so that what a lookup reads next mostly lies in the cache line that it has. A slot holds
// half of the hash's first word beside the number, and few others are ever looked at.
type hashTable struct {
	slots []atomic.Uint64
	used  int // slots that are not empty, dead ones among them
	live  int
}

const (
	smallestTable = 64
	empty         = 0
	dead          = 1 << 32 // of a number 0: never matched, and probing goes on
)

func newHashTable(size int) *hashTable {
	return &hashTable{slots: make([]atomic.Uint64, max(size, smallestTable))}
}

// home is where probing begins. SHA-256 is as even as it gets, so its first word needs no mixing.
func (t *hashTable) home(word uint64) int {
	high, _ := bits.Mul64(word, uint64(len(t.slots)))
	return int(high)
}

func (t *hashTable) after(i int) int {
	if i++; i == len(t.slots) {
		return 0
	}
	return i
}

// matches says whether a slot may be that of a hash.
func matches(slot, word uint64) bool { return slot>>32 == word&0xffffffff && uint32(slot) != 0 }

func slotOf(word uint64, number uint32) uint64 { return word<<32 | uint64(number) }

// find returns the slot of a hash, or -1. Only writers may ask: nothing moves meanwhile.
func (t *hashTable) find(word uint64, is func(number uint32) bool) int {
	for i := t.home(word); ; i = t.after(i) {
		slot := t.slots[i].Load()
		if slot == empty {
			return -1
		}
		if matches(slot, word) && is(uint32(slot)) {
			return i
		}
	}
}

// full says whether the table must grow before something is put in. Above three quarters
// misses get long.
func (t *hashTable) full() bool { return 4*(t.used+1) > 3*len(t.slots) }

// put adds a hash that is not there.
func (t *hashTable) put(word uint64, number uint32) {
	i := t.home(word)
	for t.slots[i].Load() != empty {
		// Dead slots are not used again: a reader might have passed one and miss what comes there.
		i = t.after(i)
	}
	t.slots[i].Store(slotOf(word, number))
	t.used++
	t.live++
}

func (t *hashTable) remove(i int) {
	t.slots[i].Store(dead)
	t.live--
}

// grown is a table of the same content that is half full. From three quarters that is half as large again, not
// the double: that keeps memory for each key down.
func (t *hashTable) grown(word func(number uint32) uint64) *hashTable {
	bigger := newHashTable(2 * t.live)
	for i := range t.slots {
		if number := uint32(t.slots[i].Load()); number != 0 {
			bigger.put(word(number), number)
		}
	}
	return bigger
}
