package keyindex

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
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

// credentialRecord is one credential, in the 64 bytes of a cache line.
type credentialRecord struct {
	head     // refers to its key; 0: not used
	hash     [4]atomic.Uint64
	issued   atomic.Uint64 // instant, and the generation above it
	notAfter atomic.Uint64 // instant
	next     atomic.Uint64 // the key's next credential
}

// keyRecord is an ApiKey that is declared, or that a credential speaks of.
type keyRecord struct {
	head  // refers to its profile; 0: not declared
	uid   [2]atomic.Uint64
	text  atomic.Uint64 // where its names are
	life  atomic.Uint64 // the stated end as an instant, and the state above it
	links atomic.Uint64 // its first credential, and above it its subject
}

// An instant is a second since 1970 in 40 bits, counted from 1: 0 is none.
const (
	instantBits = 40
	instantMask = 1<<instantBits - 1
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

func (c *credentialRecord) key() uint32         { return uint32(c.word.Load()) }
func (c *credentialRecord) generation() int     { return int(c.issued.Load() >> instantBits) }
func (c *credentialRecord) nextOfKey() uint32   { return uint32(c.next.Load()) }
func (c *credentialRecord) issuedAt() uint64    { return c.issued.Load() & instantMask }
func (c *credentialRecord) approvedEnd() uint64 { return c.notAfter.Load() }

func (k *keyRecord) profile() uint32   { return uint32(k.word.Load()) }
func (k *keyRecord) first() uint32     { return uint32(k.links.Load()) }
func (k *keyRecord) subject() uint32   { return uint32(k.links.Load() >> 32) }
func (k *keyRecord) statedEnd() uint64 { return k.life.Load() & instantMask }

func (k *keyRecord) state() policy.State { return policy.State(k.life.Load() >> instantBits) }

func (k *keyRecord) id() (id keyid.ID) {
	binary.BigEndian.PutUint64(id[:8], k.uid[0].Load())
	binary.BigEndian.PutUint64(id[8:], k.uid[1].Load())
	return id
}

func (k *keyRecord) setID(id keyid.ID) {
	k.uid[0].Store(binary.BigEndian.Uint64(id[:8]))
	k.uid[1].Store(binary.BigEndian.Uint64(id[8:]))
}
