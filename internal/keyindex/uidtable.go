package keyindex

import (
	"hash/maphash"
	"math/bits"

	"github.com/claviger-dev/claviger/internal/keyid"
)

// uidTable leads from a UID to the number of a key. Only writers use it. It holds numbers
// alone, and the UIDs stay in the records: a map would hold them twice.
type uidTable struct {
	seed  maphash.Seed // UIDs may be anybody's choice
	slots []uint32
	used  int // slots that are not empty, dead ones among them
	live  int
}

const deadNumber = ^uint32(0)

func newUIDTable() *uidTable {
	return &uidTable{seed: maphash.MakeSeed(), slots: make([]uint32, smallestTable)}
}

func (t *uidTable) home(id keyid.ID) int {
	high, _ := bits.Mul64(maphash.Bytes(t.seed, id[:]), uint64(len(t.slots)))
	return int(high)
}

// find returns the number of a UID, and its slot; 0: there is none.
func (t *uidTable) find(id keyid.ID, idOf func(uint32) keyid.ID) (number uint32, slot int) {
	for i := t.home(id); ; i = (i + 1) % len(t.slots) {
		number = t.slots[i]
		switch {
		case number == 0:
			return 0, i
		case number != deadNumber && idOf(number) == id:
			return number, i
		}
	}
}

func (t *uidTable) put(id keyid.ID, number uint32, idOf func(uint32) keyid.ID) {
	if 4*(t.used+1) > 3*len(t.slots) {
		t.grow(idOf)
	}
	i := t.home(id)
	for t.slots[i] != 0 {
		i = (i + 1) % len(t.slots)
	}
	t.slots[i] = number
	t.used++
	t.live++
}

func (t *uidTable) remove(slot int) {
	t.slots[slot] = deadNumber
	t.live--
}

func (t *uidTable) grow(idOf func(uint32) keyid.ID) {
	old := t.slots
	t.slots = make([]uint32, max(smallestTable, 2*t.live))
	t.used, t.live = 0, 0
	for _, number := range old {
		if number != 0 && number != deadNumber {
			t.put(idOf(number), number, idOf)
		}
	}
}
