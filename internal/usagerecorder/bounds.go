package usagerecorder

import (
	"hash/maphash"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
)

// What keys may be told apart by in a day: so many combinations of tier, domain, resource and error each, and so many of
// all keys, in some forty megabytes. Those may be chosen by whoever uses the key, and each is a row of the store in every
// hour in which it comes about.
const (
	maxDetails    = 2000
	maxAllDetails = 1 << 20
)

// Other takes the place of the tier, domain, resource and reported error of events beyond that. They are counted
// all the same.
const Other = "(other)"

// bounds are the combinations that there were today, by their hashes: of two with the same one, which are one in
// billions, one is let through.
type bounds struct {
	today int64
	most  int
	hash  maphash.Hash
	seen  map[uint64]struct{}
	of    map[keyid.ID]int // how many
	// recent are some of seen, each at a place of its own: to look there is one access to memory.
	recent []uint64
}

func newBounds() *bounds { return &bounds{most: maxAllDetails, recent: make([]uint64, 1<<15)} }

// hold makes of one combination too many one that is as good as any.
func (b *bounds) hold(e *usage.Event) {
	if e.Tier == "" && e.Domain == "" && e.Resource == "" && e.Status != usage.Failed {
		return // there are only as many of these as there are codes
	}
	if today := usage.DayStart(e.At.Unix()); today > b.today || b.seen == nil {
		b.today, b.seen, b.of = today, map[uint64]struct{}{}, map[keyid.ID]int{}
		clear(b.recent)
	}
	hash := b.hashOf(e)
	recent := &b.recent[hash%uint64(len(b.recent))]
	if *recent == hash {
		return
	}
	if _, ok := b.seen[hash]; ok {
		*recent = hash
		return
	}
	if count := b.of[e.Key]; count < maxDetails && len(b.seen) < b.most {
		b.of[e.Key] = count + 1
		b.seen[hash] = struct{}{}
		*recent = hash
		return
	}
	for _, text := range []*string{&e.Tier, &e.Domain, &e.Resource} {
		if *text != "" {
			*text = Other
		}
	}
	if e.Status == usage.Failed && e.Error != "" {
		e.Error = Other
	}
}

func (b *bounds) hashOf(e *usage.Event) uint64 {
	b.hash.Reset()
	b.hash.Write(e.Key[:])
	b.hash.WriteByte(byte(e.Status))
	for _, text := range [...]string{e.Error, e.Tier, e.Domain, e.Resource} {
		b.hash.WriteString(text)
		b.hash.WriteByte(0)
	}
	return b.hash.Sum64()
}
