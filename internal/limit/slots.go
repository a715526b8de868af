package limit

import (
	"sync/atomic"
	"time"
)

// Slots holds the requests of a subject that are under way. The zero value is ready. No call
// ever waits for another.
//
// Time comes from a clock that may be set. Set forward, it ends slots early. Set back, it would
// leave the slots of requests that are never released held for as much longer; so Hold remembers
// the longest time that it was asked for, and a slot that seems to have more than that left (and
// a minute, as requests do not read the clock and come here in the same order) gets that from
// now. However much the requests' times differ, this ends no slot before its time, unless a request
// takes more than that minute from the clock to here.
type Slots struct {
	first   atomic.Pointer[chunk]
	longest atomic.Int64 // nanoseconds
}

const clockSlack = int64(time.Minute)

// chunk is a part of the list of slots, which grows with what is held at once and never shrinks.
type chunk struct {
	slots [16]slot
	next  atomic.Pointer[chunk]
}

// slot has a turn, which only ever grows: free, claimed, held, and free again are the remainders of
// its division by three. Who moves the turn on has the slot, and as no turn comes twice, nobody can
// mistake a later request's slot for the one seen before, not even one of the same deadline. The
// other words are written while it is claimed.
type slot struct {
	turn     atomic.Uint64
	deadline atomic.Int64
	id       atomic.Uint64
}

const (
	slotFree = iota
	slotClaimed
	slotHeld
)

// look reads the slot: whether a request has it, and until when; zero where that is not yet known.
func (s *slot) look(now int64) (turn uint64, until int64, taken bool) {
	turn = s.turn.Load()
	switch turn % 3 {
	case slotFree:
		return turn, 0, false
	case slotClaimed:
		return turn, 0, true
	}
	until = s.deadline.Load()
	return turn, until, until > now
}

// claim takes a slot that was seen free, or held beyond its deadline.
func (s *slot) claim(seen uint64) (turn uint64, ok bool) {
	turn = seen + 1
	if seen%3 == slotHeld {
		turn = seen + 2
	}
	return turn, s.turn.CompareAndSwap(seen, turn)
}

// Hold takes a slot for the request of a number, until a deadline in nanoseconds on the same clock
// as now; one that has passed already counts as a nanosecond from now. A slot is free again when it
// is released, or its deadline is reached. Hold is refused where max slots or more are held; more
// can be after an edit that lowered max. inUse counts the slots held after the call.
//
// A call takes only the lowest slot that it saw free, and only if its number, counted from one, and the slots
// held above it are together no more than max. Of calls at the same time, take the one for which
// most slots could have been taken: above those it saw no more held than fit beside them, and
// nobody takes a slot there. So max holds, although no call sees all slots at one moment.
func (s *Slots) Hold(id uint64, now, deadline, max int64) (inUse int64, ok bool) {
	if deadline <= now {
		deadline = now + 1
	}
	for {
		free, seen, inUse, end := s.scan(now)
		if inUse >= max {
			return inUse, false
		}
		if free == nil {
			end.CompareAndSwap(nil, new(chunk)) // or another has; there is room now
			continue
		}
		turn, ok := free.claim(seen)
		if !ok {
			continue // another was quicker, and may have taken the last one
		}
		s.remember(deadline - now) // before anybody can see the deadline
		free.id.Store(id)
		free.deadline.Store(deadline)
		free.turn.Store(turn + 1)
		return inUse + 1, true
	}
}

// scan counts the slots in use, and finds the lowest one that is free, with its turn, and the
// end of the list.
func (s *Slots) scan(now int64) (free *slot, seen uint64, inUse int64, end *atomic.Pointer[chunk]) {
	end = &s.first
	for c := end.Load(); c != nil; c = end.Load() {
		for i := range c.slots {
			slot := &c.slots[i]
			turn, until, taken := slot.look(now)
			switch {
			case taken:
				inUse++
				s.shorten(slot, now, until)
			case free == nil:
				free, seen = slot, turn
			}
		}
		end = &c.next
	}
	return free, seen, inUse, end
}

func (s *Slots) shorten(slot *slot, now, until int64) {
	// The longest time is read after the deadline, so it is no shorter than this slot's own.
	longest := s.longest.Load()
	if left := until - now; left > clockSlack && left-clockSlack > longest {
		slot.deadline.CompareAndSwap(until, now+longest)
	}
}

func (s *Slots) remember(asked int64) {
	for longest := s.longest.Load(); asked > longest; longest = s.longest.Load() {
		if s.longest.CompareAndSwap(longest, asked) {
			return
		}
	}
}

// Release frees the slot of a request; false where there is none (any more): it was released,
// or its time has passed. Several requests of one number hold a slot each, and each Release
// frees one.
func (s *Slots) Release(id uint64, now int64) bool {
	for c := s.first.Load(); c != nil; c = c.next.Load() {
		for i := range c.slots {
			slot := &c.slots[i]
			turn, _, taken := slot.look(now)
			if taken && turn%3 == slotHeld && slot.id.Load() == id && slot.turn.CompareAndSwap(turn, turn+1) {
				return true
			}
		}
	}
	return false
}

// InUse counts the slots held now, and next is the earliest deadline among them (0 without any).
func (s *Slots) InUse(now int64) (inUse, next int64) {
	for c := s.first.Load(); c != nil; c = c.next.Load() {
		for i := range c.slots {
			turn, until, taken := c.slots[i].look(now)
			if taken {
				inUse++
			}
			if taken && turn%3 == slotHeld && (next == 0 || until < next) {
				next = until
			}
		}
	}
	return inUse, next
}
