package valkey

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/limitstore"
)

// shares are what was counted here while the server was away, and is not counted there yet. They
// are in stripes by their tags, so that all of a request is under one lock.
type shares struct {
	n       atomic.Int64 // how many there are; mostly none, so that nobody has to look
	seed    maphash.Seed
	stripes [64]stripe
}

type stripe struct {
	sync.Mutex
	all map[limitstore.Counter]*share
}

// share is this verifier's part of a counter. It began with its part of what the server had said, and
// what it counted since is the difference.
type share struct {
	counter limitstore.Counter
	rule    *limit.Rule // the whole one
	parts   int64       // into which it is divided
	part    limit.Rule
	bucket  limit.Bucket  // of part
	before  uint64        // what was in it when all in it had been counted by the server too
	base    uint64        // what the server had then, of all parts
	known   *limit.Bucket // where what it says is kept

	// Of Concurrency the requests of which the server does not know that they are under way, or that
	// they are not any more.
	slots    *limit.Slots
	held     []holding
	released []string

	settling chan struct{} // closed when the server has been told; nil while nobody tells it
	telling  telling
}

type holding struct {
	id    string
	until int64
}

func (s *shares) init() {
	s.seed = maphash.MakeSeed()
	for i := range s.stripes {
		s.stripes[i].all = map[limitstore.Counter]*share{}
	}
}

func (s *shares) stripe(tag string) *stripe {
	return &s.stripes[maphash.String(s.seed, tag)%uint64(len(s.stripes))]
}

// keyOf is by what a share is found: the hash, which may or may not have been computed, means nothing here.
func keyOf(c limitstore.Counter) limitstore.Counter {
	c.RuleHash = 0
	return c
}

// get is the share of a counter; the stripe is locked. An edited rule goes on with what was counted by
// the one before.
func (s *shares) get(st *stripe, a *Ask, parts int64, now time.Time) *share {
	key := keyOf(a.Counter)
	sh := st.all[key]
	switch {
	case sh == nil:
		s.n.Add(1)
		sh = newShare(a, parts, now)
		st.all[key] = sh
	case sh.rule == a.Rule || sh.rule.Equal(a.Rule):
	case a.Rule.Succeeds(sh.rule):
		sh.edit(a, now)
	default: // it counts something else now, and nobody wants to know any more what it did
		sh = newShare(a, sh.parts, now)
		st.all[key] = sh
	}
	sh.rule, sh.known = a.Rule, a.Known
	if a.Slots != nil {
		sh.slots = a.Slots
	}
	return sh
}

func (s *shares) drop(st *stripe, sh *share) {
	if st.all[sh.counter] == sh {
		delete(st.all, sh.counter)
		s.n.Add(-1)
	}
}

func newShare(a *Ask, parts int64, now time.Time) *share {
	sh := &share{counter: keyOf(a.Counter), rule: a.Rule, parts: parts, part: partOf(a.Rule, parts)}
	if a.Rule.Kind == limit.Concurrency {
		sh.slots = new(limit.Slots)
		return sh
	}
	if a.Known != nil {
		sh.base = a.Known.Word()
	}
	sh.before = partWord(&sh.part, sh.base, parts, now)
	sh.bucket.SetWord(sh.before)
	return sh
}

func (sh *share) edit(a *Ask, now time.Time) {
	part := partOf(a.Rule, sh.parts)
	sh.bucket.SetWord(part.Carry(&sh.part, sh.bucket.Word(), now))
	sh.before = part.Carry(&sh.part, sh.before, now)
	sh.telling.word = part.Carry(&sh.part, sh.telling.word, now)
	sh.base = a.Rule.Carry(sh.rule, sh.base, now)
	sh.part = part
}

// partOf divides a rule. Each part has at least one.
func partOf(r *limit.Rule, parts int64) limit.Rule {
	part := *r
	if r.Kind == limit.Tokens {
		part.Per *= time.Duration(parts) // as much flows in, however little that is
		part.Burst = max(1, r.Burst/parts)
	} else {
		part.Max = max(1, r.Max/parts)
	}
	return part
}

// partWord divides what was used of a rule, rounding up.
func partWord(part *limit.Rule, word uint64, parts int64, now time.Time) uint64 {
	up := func(count int64) int64 { return (count + parts - 1) / parts }
	switch {
	case word == 0:
		return 0
	case part.Kind == limit.Span:
		began, count := spanOf(word)
		return spanWord(began, up(count))
	case part.Kind == limit.Tokens:
		// A part of them takes as long to flow in at a part of the rate. The bucket may be smaller.
		return min(word, uint64(nanoseconds(now)+part.Burst*interval(part)))
	}
	endDay, count := countedOf(word)
	return countedWord(endDay, up(count))
}

// owed is what was counted between two words, as far as it still counts.
func owed(r *limit.Rule, before, word uint64, now time.Time) int64 {
	if word == 0 || word == before {
		return 0
	}
	switch r.Kind {
	case limit.Span:
		began, count := spanOf(word)
		if milliseconds(now)-began >= r.Per.Milliseconds() {
			return 0
		}
		if begunBefore, before := spanOf(before); begunBefore == began {
			count -= before
		}
		return count
	case limit.Tokens:
		at, each := nanoseconds(now), interval(r)
		used := max(0, int64(word)-at) - max(0, int64(before)-at)
		return (used + each - 1) / each
	}
	endDay, count := countedOf(word)
	if endDay <= int64(r.Calendar.Day(now)) {
		return 0
	}
	if endedBefore, before := countedOf(before); endedBefore == endDay {
		count -= before
	}
	return count
}

// seed is from where the counter goes on if the server does not have it any more: what it had, or the span or
// period that began here since.
func (sh *share) seed(word uint64) uint64 {
	switch sh.part.Kind {
	case limit.Span:
		began, _ := spanOf(word)
		if before, _ := spanOf(sh.base); before != began {
			return spanWord(began, 0)
		}
	case limit.Quota, limit.Budget:
		endDay, _ := countedOf(word)
		if before, _ := countedOf(sh.base); before != endDay {
			return countedWord(endDay, 0)
		}
	}
	return sh.base
}
