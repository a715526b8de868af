// Package grouping turns a roll-up into the rows that a store has to change. They are in an order that does not
// change from run to run, and is the same for all writers, so that two never wait for each other in a circle.
package grouping

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// Changes are the rows.
type Changes struct {
	Keys        []*Key
	Groups      []*Group
	Hours, Days []Slot
	Limits      []Limit
}

// Sums are what was counted of a key or a group.
type Sums struct {
	Total usagefeed.Counts
	// Period is that part of it which is in the newest billing period, or later; PeriodStart is when that began.
	Period      usagefeed.Counts
	PeriodStart time.Time
	// Newest is when the last bucket begins that something was counted in, in Unix seconds.
	Newest int64
}

// Key is what a roll-up holds of one key.
type Key struct {
	ID   keyid.ID
	Last usage.Last
	Sums
	Refusals []Refusal
}

// Group is what it holds of a Workspace or a ServiceAccount: Kind and Name are those of the feed.
type Group struct {
	Kind, Name string
	UsedAt     time.Time // zero: only outcomes are known
	Sums
}

// Slot is a row of hours or days.
type Slot struct {
	Start int64
	usage.Series
	usage.Measures
}

// Limit is what a KeyLimit, by its UID, refused.
type Limit struct {
	UID                  string
	Denied, ShadowDenied int64
}

// Refusal is the newest refusal of a key by the limit with a UID.
type Refusal struct {
	Limit string
	usage.Refused
}

// Of makes the changes of a roll-up.
func Of(rollup *usage.Rollup) *Changes {
	c := &Changes{}
	keys, groups := map[keyid.ID]*Key{}, map[[2]string]*Group{}
	for id, last := range rollup.Last {
		keys[id] = &Key{ID: id, Last: last, Sums: Sums{PeriodStart: last.PeriodStart}}
	}
	for id, last := range rollup.Last {
		for _, g := range groupsOf(&last.Attribution, groups) {
			if last.UsedAt.After(g.UsedAt) {
				g.UsedAt = last.UsedAt
			}
		}
		c.Keys = append(c.Keys, keys[id])
	}
	for bucket := range rollup.Buckets {
		for _, g := range groupsOf(&bucket.Attribution, groups) { // of which a key may not be any more
			g.begun(keys[bucket.Key].PeriodStart)
		}
	}
	days := map[usage.Bucket]usage.Measures{}
	for bucket, measures := range rollup.Buckets {
		c.Hours = append(c.Hours, Slot{bucket.Start, bucket.Series, measures})
		keys[bucket.Key].count(&bucket, measures)
		for _, g := range groupsOf(&bucket.Attribution, groups) {
			g.count(&bucket, measures)
		}
		bucket.Start = usage.DayStart(bucket.Start)
		sum := days[bucket]
		sum.Add(measures)
		days[bucket] = sum
	}
	for bucket, measures := range days {
		c.Days = append(c.Days, Slot{bucket.Start, bucket.Series, measures})
	}
	for _, g := range groups {
		c.Groups = append(c.Groups, g)
	}
	c.refusals(rollup, keys)
	c.sort()
	return c
}

// groupsOf are the groups of an attribution, made where they are missing.
func groupsOf(a *usage.Attribution, groups map[[2]string]*Group) []*Group {
	names := [][2]string{{usagefeed.KindWorkspace, a.Workspace}}
	if a.ServiceAccount != "" {
		namespace, _, _ := strings.Cut(a.Workspace, "/")
		names = append(names, [2]string{usagefeed.KindServiceAccount, namespace + "/" + a.ServiceAccount})
	}
	found := make([]*Group, 0, len(names))
	for _, name := range names {
		if groups[name] == nil {
			groups[name] = &Group{Kind: name[0], Name: name[1]}
		}
		found = append(found, groups[name])
	}
	return found
}

func (s *Sums) begun(period time.Time) {
	if period.After(s.PeriodStart) {
		s.PeriodStart = period
	}
}

func (s *Sums) count(bucket *usage.Bucket, m usage.Measures) {
	add(&s.Total, bucket.Status, m)
	if bucket.Start >= s.PeriodStart.Unix() {
		add(&s.Period, bucket.Status, m)
	}
	s.Newest = max(s.Newest, bucket.Start)
}

func add(counts *usagefeed.Counts, status usage.Status, m usage.Measures) {
	var totals usage.Totals
	totals.Add(status, m)
	counts.Requests += totals.Requests
	counts.Denied += totals.Denied
	counts.Succeeded += totals.Succeeded
	counts.Failed += totals.Failed
	counts.SpendMicrocents += totals.SpendMicrocents
}

// refusals are what limits refused: all that there was, and of each key the newest.
func (c *Changes) refusals(rollup *usage.Rollup, keys map[keyid.ID]*Key) {
	limits := map[string]*Limit{}
	for pair, refused := range rollup.Refused {
		l := limits[pair.Limit]
		if l == nil {
			l = &Limit{UID: pair.Limit}
			limits[pair.Limit] = l
		}
		l.Denied += refused.Denied
		l.ShadowDenied += refused.ShadowDenied
		if !refused.At.IsZero() {
			keys[pair.Key].Refusals = append(keys[pair.Key].Refusals, Refusal{pair.Limit, refused})
		}
	}
	for _, l := range limits {
		c.Limits = append(c.Limits, *l)
	}
}

func (c *Changes) sort() {
	slices.SortFunc(c.Keys, func(a, b *Key) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	slices.SortFunc(c.Groups, func(a, b *Group) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	slices.SortFunc(c.Limits, func(a, b Limit) int { return strings.Compare(a.UID, b.UID) })
	for _, k := range c.Keys {
		slices.SortFunc(k.Refusals, func(a, b Refusal) int { return strings.Compare(a.Limit, b.Limit) })
	}
	for _, slots := range [][]Slot{c.Hours, c.Days} {
		slices.SortFunc(slots, func(a, b Slot) int { return cmp.Or(cmp.Compare(a.Start, b.Start), compareSeries(&a.Series, &b.Series)) })
	}
}

func compareSeries(a, b *usage.Series) int {
	if order := bytes.Compare(a.Key[:], b.Key[:]); order != 0 {
		return order
	}
	for i, text := range texts(a) {
		if order := strings.Compare(text, texts(b)[i]); order != 0 {
			return order
		}
	}
	return 0
}
