package sqlite

import (
	"slices"
	"strings"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// change is what a roll-up holds of one key.
type change struct {
	key      string
	last     usage.Last
	hours    []hour
	total    usagefeed.Counts
	month    usagefeed.Period // the newest month in the roll-up
	refusals []refusal
}

type hour struct {
	start time.Time
	code  string
	count int64
}

// refusal is what the limit with a UID refused the key.
type refusal struct {
	limit string
	usage.Refused
}

// group sorts a roll-up's lines by key, in an order that does not change from run to run.
func group(rollup *usage.Rollup) []*change {
	byKey := make(map[keyid.ID]*change, len(rollup.Last))
	for key, last := range rollup.Last {
		byKey[key] = &change{key: key.String(), last: last}
	}
	for line, count := range rollup.Hours {
		byKey[line.Key].add(hour{start: line.Start, code: line.Code, count: count})
	}
	for pair, refused := range rollup.Refused {
		if !refused.At.IsZero() {
			c := byKey[pair.Key]
			c.refusals = append(c.refusals, refusal{pair.Limit, refused})
		}
	}
	changes := make([]*change, 0, len(byKey))
	for _, c := range byKey {
		changes = append(changes, c)
	}
	slices.SortFunc(changes, func(a, b *change) int { return strings.Compare(a.key, b.key) })
	return changes
}

func (c *change) add(h hour) {
	c.hours = append(c.hours, h)
	count(&c.total, h)
	month := usagefeed.PeriodStart(h.start)
	if month.After(c.month.Start) {
		c.month = usagefeed.Period{Start: month}
	}
	if month.Equal(c.month.Start) {
		count(&c.month.Counts, h)
	}
}

func count(counts *usagefeed.Counts, h hour) {
	if h.code == policy.CodeValid.String() {
		counts.Requests += h.count
	} else {
		counts.Denied += h.count
	}
}
