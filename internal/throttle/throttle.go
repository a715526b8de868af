// Package throttle slows those who keep presenting invalid keys, by where they come from. It
// is pure: the time comes in as an argument.
//
// The table has a fixed size and no locks, whatever the number of sources: a set-associative
// cache of rates counted by the generic cell rate algorithm (ITU-T I.371, GCRA). What it has no
// room for it forgets, and a source that is forgotten is let through: that costs only the
// processor time to refuse its next key. The reverse, to slow somebody for what others did, happens
// to a source with a probability below Ways/2^28, one in 33 million, for each set that is full of
// offenders; and even then a valid key passes, since only invalid ones are counted.
package throttle

import (
	"hash/maphash"
	"math/bits"
	"net/netip"
	"sync/atomic"
	"time"
)

// Options are how much is borne.
type Options struct {
	// PerMinute is how many invalid keys a source may present for any length of time; zero or
	// less: as many as it likes.
	PerMinute int
	// Burst is how many it may present at once; at least 1, and at most what PerMinute lets
	// flow in within 20 hours.
	Burst int
	// Size is how many sources are remembered, of 8 bytes each. It is rounded up to a power of
	// two, and is at least Ways.
	Size int
}

// Ways is how many sources share a set: what fits into a line of the processor's cache.
const Ways = 8

// A cell holds, above, the source's tag, and below, in ticks, when its bucket will be empty
// again. In one word, so that neither is ever seen without the other. The time wraps around after
// two years; a time further away than a full bucket takes to drain is in the past.
const (
	timeBits  = 36
	timeMask  = 1<<timeBits - 1
	tickShift = 20 // a tick is 2^20 ns: about a millisecond

	// 20 hours. With much more, what is past could look like what is to come.
	maxCapacity = 1 << 26
	maxSize     = 1 << 24
)

type set [Ways]atomic.Uint64

// Table remembers sources. Nil throttles nobody. Its methods may be called from any goroutine.
type Table struct {
	// Nobody can choose sources that fall into one set without knowing the seed.
	seed     maphash.Seed
	sets     []set
	interval uint64 // ticks that an invalid key costs
	capacity uint64 // ticks that a bucket holds
}

// New makes a Table, which is nil where the options throttle nobody.
func New(o Options) *Table {
	if o.PerMinute <= 0 {
		return nil
	}
	perMinute := uint64(o.PerMinute)
	interval := max(1, (uint64(time.Minute)>>tickShift+perMinute/2)/perMinute)
	burst := min(uint64(max(1, o.Burst)), maxCapacity/interval)
	sets := uint(min(max(o.Size, Ways), maxSize)+Ways-1) / Ways
	return &Table{
		seed:     maphash.MakeSeed(),
		sets:     make([]set, 1<<bits.Len(sets-1)),
		interval: interval,
		capacity: interval * burst,
	}
}

// Failed takes note that a source presented an invalid key, and says whether it does so too
// often, and then how long to wait until the next would be borne. IPv4 addresses count each for
// itself, IPv6 addresses by their /64, of which everybody can have as many as he likes. Where the
// address is not known nobody is throttled.
func (t *Table) Failed(source netip.Addr, now time.Time) (retryAfter time.Duration, throttled bool) {
	if t == nil || !source.IsValid() {
		return 0, false
	}
	hash := t.hash(source)
	cells := &t.sets[hash&uint64(len(t.sets)-1)]
	tag := hash &^ timeMask
	ticks := uint64(now.UnixNano()) >> tickShift
	for {
		cell, word, left := t.find(cells, tag, ticks)
		if left+t.interval > t.capacity {
			return time.Duration(left+t.interval-t.capacity) << tickShift, true
		}
		if cell.CompareAndSwap(word, tag|(ticks+left+t.interval)&timeMask) {
			return 0, false
		}
	}
}

// find is the cell of a source, what it holds, and how many ticks its bucket needs to drain; or
// else the cell to take: the one that drains first, as it has the least to forget.
func (t *Table) find(cells *set, tag, ticks uint64) (cell *atomic.Uint64, word, left uint64) {
	least := uint64(timeMask)
	for i := range cells {
		w := cells[i].Load()
		l := t.left(w, ticks)
		if w&^timeMask == tag {
			return &cells[i], w, l
		}
		if l < least {
			cell, word, least = &cells[i], w, l
		}
	}
	return cell, word, 0
}

func (t *Table) left(word, ticks uint64) uint64 {
	left := (word - ticks) & timeMask
	if left > t.capacity {
		return 0 // past; or the clock was set back
	}
	return left
}

func (t *Table) hash(source netip.Addr) uint64 {
	if source.Is4() || source.Is4In6() {
		address := source.As4()
		return maphash.Bytes(t.seed, address[:])
	}
	address := source.As16()
	return maphash.Bytes(t.seed, address[:8])
}
