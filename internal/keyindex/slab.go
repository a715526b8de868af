package keyindex

import "sync/atomic"

const (
	chunkBits = 10
	chunkSize = 1 << chunkBits
)

// slab is a growing array of records that never move, so that a reader can follow a number to
// a record while a writer adds others. Without pointers in the records the garbage collector
// does not look at them, however many there are. The number 0 is no record.
type slab[Record any] struct {
	chunks atomic.Pointer[[]*[chunkSize]Record]
	next   uint32   // the first number that was never used
	free   []uint32 // those that were, and are not any more
}

// at is the record of a number that take returned.
func (s *slab[Record]) at(number uint32) *Record {
	return &(*s.chunks.Load())[number>>chunkBits][number%chunkSize]
}

// take finds a record that is not used.
func (s *slab[Record]) take() uint32 {
	if last := len(s.free) - 1; last >= 0 {
		number := s.free[last]
		s.free = s.free[:last]
		return number
	}
	s.next = max(s.next, 1)
	var chunks []*[chunkSize]Record
	if known := s.chunks.Load(); known != nil {
		chunks = *known
	}
	if int(s.next>>chunkBits) == len(chunks) {
		// Readers may hold the old list, whose end they never pass.
		chunks = append(chunks, new([chunkSize]Record))
		s.chunks.Store(&chunks)
	}
	number := s.next
	s.next++
	return number
}

// release gives a record back. A reader may still be at it: whoever takes it next must write it
// in a way that such a reader notices.
func (s *slab[Record]) release(number uint32) { s.free = append(s.free, number) }

// adopt takes over the records of another slab in the place of its own.
func (s *slab[Record]) adopt(other *slab[Record]) {
	s.next, s.free = other.next, other.free
	s.chunks.Store(other.chunks.Load())
}
