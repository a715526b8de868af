package keyindex

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/limitstore/local"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/token"
)

// Records are written by one writer at a time while readers look, as a sequence lock has it (H.-J.
// Boehm, Can Seqlocks Get Along With Programming Language Memory Models?, MSPC 2012): the head
// holds a version, odd while the record is being written, and a reader that finds another version after
// reading than before begins anew. All words are atomic, which costs a reader nothing on
// common machines.
type head struct {
	word atomic.Uint64 // version above, the number of a record that this one refers to below
}

// load returns the version and the reference, and whether the record is whole now.
func (h *head) load() (word uint64, reference uint32, whole bool) {
	word = h.word.Load()
	return word, uint32(word), word>>32&1 == 0
}

// write runs a change of the record and then refers to another one.
func (h *head) write(reference uint32, change func()) {
	version := h.word.Load()>>32 + 1
	h.word.Store(version<<32 | h.word.Load()&0xffffffff)
	change()
	h.word.Store((version+1)<<32 | uint64(reference))
}

// credentialRecord is one credential, in seven words.
type credentialRecord struct {
	head  // refers to its key; 0: not used
	hash  [4]atomic.Uint64
	times atomic.Uint64 // when it was issued, and above that the lower bits of when it ends
	tail  atomic.Uint64 // the key's next credential, above that its generation, whether it is foreign, and the rest of the end
}

// keyRecord is an ApiKey that is declared, or that a credential speaks of, in five words.
type keyRecord struct {
	head  // refers to its profile; 0: not declared
	uid   [2]atomic.Uint64
	life  atomic.Uint64 // the stated end, the state, and the upper bits of where its names are
	links atomic.Uint64 // its first credential, and the rest of where its names are
}

// What is packed into the words. An instant is a second since 1970, counted from 1: 0 is none.
// It reaches beyond the year 10000.
const (
	instantBits    = 38
	instantMask    = 1<<instantBits - 1
	numberBits     = 32
	numberMask     = 1<<numberBits - 1
	generationBits = 19
	maxGeneration  = 1<<generationBits - 1
	foreignBit     = 1 << (numberBits + generationBits)
	endShift       = numberBits + generationBits + 1
	stateBits      = 2
	endLowBits     = 64 - instantBits
	endLowMask     = 1<<endLowBits - 1
)

func instant(t time.Time) uint64 { return uint64(min(max(0, t.Unix()), instantMask-1)) + 1 }

// instantOf rounds down, so that nothing lasts longer than was said.
func instantOf(t *time.Time) uint64 {
	if t == nil {
		return 0
	}
	return instant(*t)
}

func timeOf(instant uint64) time.Time {
	if instant == 0 {
		return time.Time{}
	}
	return time.Unix(int64(instant)-1, 0).UTC()
}

// endOf is when a credential ends, as policy.ExpiresAt has it: the earliest of all ends that are set.
func endOf(stated, notAfter, issued uint64, ttl time.Duration) time.Time {
	if stated == 0 || notAfter != 0 && notAfter < stated {
		stated = notAfter
	}
	end := timeOf(stated)
	if ttl > 0 {
		if t := timeOf(issued).Add(ttl); end.IsZero() || t.Before(end) {
			end = t
		}
	}
	return end
}

func hashWords(h *token.Hash) (w [4]uint64) {
	for i := range w {
		w[i] = binary.LittleEndian.Uint64(h[8*i:])
	}
	return w
}

func hashFrom(w [4]uint64) (h token.Hash) {
	for i := range w {
		binary.LittleEndian.PutUint64(h[8*i:], w[i])
	}
	return h
}

func (c *credentialRecord) hashIs(w *[4]uint64) bool {
	return c.hash[0].Load() == w[0] && c.hash[1].Load() == w[1] && c.hash[2].Load() == w[2] && c.hash[3].Load() == w[3]
}

func (c *credentialRecord) hashWords() (w [4]uint64) {
	for i := range w {
		w[i] = c.hash[i].Load()
	}
	return w
}

func (c *credentialRecord) key() uint32       { return uint32(c.word.Load()) }
func (c *credentialRecord) issuedAt() uint64  { return c.times.Load() & instantMask }
func (c *credentialRecord) nextOfKey() uint32 { return uint32(c.tail.Load()) }

func (c *credentialRecord) foreign() bool { return c.tail.Load()&foreignBit != 0 }

func (c *credentialRecord) generation() int {
	return int(c.tail.Load() >> numberBits & maxGeneration)
}

// approvedEnd is an instant.
func (c *credentialRecord) approvedEnd() uint64 {
	return c.times.Load()>>instantBits | c.tail.Load()>>endShift<<endLowBits
}

// set writes all but the hash, and leaves the next credential as it is.
func (c *credentialRecord) set(issued, notAfter uint64, generation int, foreign bool) {
	tail := c.tail.Load()&numberMask | uint64(generation)<<numberBits | notAfter>>endLowBits<<endShift
	if foreign {
		tail |= foreignBit
	}
	c.times.Store(issued | notAfter<<instantBits)
	c.tail.Store(tail)
}

func (c *credentialRecord) setNext(number uint32) {
	c.tail.Store(c.tail.Load()>>numberBits<<numberBits | uint64(number))
}

func (k *keyRecord) profile() uint32   { return uint32(k.word.Load()) }
func (k *keyRecord) first() uint32     { return uint32(k.links.Load()) }
func (k *keyRecord) statedEnd() uint64 { return k.life.Load() & instantMask }

func (k *keyRecord) state() policy.State {
	return policy.State(k.life.Load() >> instantBits & (1<<stateBits - 1))
}

// place is where its names are.
func (k *keyRecord) place() uint64 {
	return k.life.Load()>>(instantBits+stateBits)<<numberBits | k.links.Load()>>numberBits
}

// set writes all but the UID, and leaves the first credential as it is.
func (k *keyRecord) set(stated uint64, state policy.State, place uint64) {
	k.life.Store(stated | uint64(state)<<instantBits | place>>numberBits<<(instantBits+stateBits))
	k.links.Store(k.links.Load()&numberMask | place<<numberBits)
}

func (k *keyRecord) setFirst(number uint32) {
	k.links.Store(k.links.Load()>>numberBits<<numberBits | uint64(number))
}

// subject is whose requests a limit counts that counts each key for itself.
func (k *keyRecord) subject() local.Subject { return subjectOf(k.uid[0].Load(), k.uid[1].Load()) }

func subjectOf(high, low uint64) local.Subject {
	return local.Subject(high ^ bits.RotateLeft64(low, 31))
}

func (k *keyRecord) id() (id keyid.ID) {
	binary.BigEndian.PutUint64(id[:8], k.uid[0].Load())
	binary.BigEndian.PutUint64(id[8:], k.uid[1].Load())
	return id
}

// inUse says whether the record is a key's. No key has the zero ID.
func (k *keyRecord) inUse() bool { return k.uid[0].Load()|k.uid[1].Load() != 0 }

func (k *keyRecord) setID(id keyid.ID) {
	k.uid[0].Store(binary.BigEndian.Uint64(id[:8]))
	k.uid[1].Store(binary.BigEndian.Uint64(id[8:]))
}
