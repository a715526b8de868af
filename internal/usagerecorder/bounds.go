package usagerecorder

import (
	"hash/maphash"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
)

// What a key may be told apart by in a day: so many combinations of tier, domain, resource and error. Those may be
// chosen by whoever uses the key, and each is a row of the store in every hour in which it comes about.
const maxDetails = 2000

// Other takes the place of the tier, domain, resource and reported error of events beyond that. They are counted
// all the same.
const Other = "(other)"

// bounds are the combinations that there were of each key today.
type bounds struct {
	seed  maphash.Seed
	today int64
	seen  map[keyid.ID]map[uint64]struct{}
}

func newBounds() bounds { return bounds{seed: maphash.MakeSeed()} }

// hold makes of one combination too many one that is as good as any.
func (b *bounds) hold(e *usage.Event) {
	if e.Tier == "" && e.Domain == "" && e.Resource == "" && e.Status != usage.Failed {
		return // there are only as many of these as there are codes
	}
	if today := usage.DayStart(e.At.Unix()); today > b.today || b.seen == nil {
		b.today, b.seen = today, map[keyid.ID]map[uint64]struct{}{}
	}
	seen := b.seen[e.Key]
	if seen == nil {
		seen = map[uint64]struct{}{}
		b.seen[e.Key] = seen
	}
	hash := maphash.Comparable(b.seed, e.Details)
	if _, ok := seen[hash]; ok {
		return
	}
	if len(seen) < maxDetails {
		seen[hash] = struct{}{}
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
