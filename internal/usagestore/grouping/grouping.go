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

// Slot is a row of hours or days. The lines of the log, and the slots, of one series mostly point to the same one.
type Slot struct {
	Start  int64
	Series *usage.Series
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

// Of makes the changes of a roll-up, which must not be changed as long as they are used.
func Of(rollup *usage.Rollup) *Changes {
	c, groups := &Changes{}, finder{groups: map[[2]string]*Group{}}
	keys := make(map[keyid.ID]*Key, len(rollup.Keys))
	for id, use := range rollup.Keys {
		keys[id] = &Key{ID: id, Last: use.Last, Sums: Sums{PeriodStart: use.Last.PeriodStart}}
		c.Keys = append(c.Keys, keys[id])
		for _, g := range groups.of(&use.Last.Attribution) {
			if use.Last.UsedAt.After(g.UsedAt) {
				g.UsedAt = use.Last.UsedAt
			}
		}
		for _, count := range use.Counts {
			for _, g := range groups.of(&count.Attribution) { // of which a key may not be any more
				g.begun(use.Last.PeriodStart)
			}
		}
	}
	for id, use := range rollup.Keys { // once all groups know when their period began
		for _, count := range use.Counts {
			keys[id].count(count)
			for _, g := range groups.of(&count.Attribution) {
				g.count(count)
			}
		}
		c.slots(use.Counts)
	}
	for _, g := range groups.groups {
		c.Groups = append(c.Groups, g)
	}
	c.refusals(rollup, keys)
	c.sort()
	return c
}

// slots are the hours and the days of a key. All that was counted in one hour is as many slots of a day.
func (c *Changes) slots(counts []*usage.Count) {
	sums, oneHour := usage.Use{}, true
	for _, count := range counts {
		c.Hours = append(c.Hours, Slot{count.Start, &count.Series, count.Measures})
		oneHour = oneHour && count.Start == counts[0].Start
	}
	days := counts
	if !oneHour {
		for _, count := range counts {
			sums.At(&usage.Bucket{Series: count.Series, Start: usage.DayStart(count.Start)}).Add(count.Measures)
		}
		days = sums.Counts
	}
	for _, count := range days {
		c.Days = append(c.Days, Slot{usage.DayStart(count.Start), &count.Series, count.Measures})
	}
}

// finder finds the groups of attributions, and makes those that are missing.
type finder struct {
	groups map[[2]string]*Group
	last   usage.Attribution // that was looked for, as most keys come with several counts
	found  []*Group          // its
}

func (f *finder) of(a *usage.Attribution) []*Group {
	if f.found != nil && *a == f.last {
		return f.found
	}
	f.last, f.found = *a, []*Group{f.group(usagefeed.KindWorkspace, a.Workspace)}
	if a.ServiceAccount != "" {
		namespace, _, _ := strings.Cut(a.Workspace, "/")
		f.found = append(f.found, f.group(usagefeed.KindServiceAccount, namespace+"/"+a.ServiceAccount))
	}
	return f.found
}

func (f *finder) group(kind, name string) *Group {
	g := f.groups[[2]string{kind, name}]
	if g == nil {
		g = &Group{Kind: kind, Name: name}
		f.groups[[2]string{kind, name}] = g
	}
	return g
}

func (s *Sums) begun(period time.Time) {
	if period.After(s.PeriodStart) {
		s.PeriodStart = period
	}
}

func (s *Sums) count(c *usage.Count) {
	add(&s.Total, c.Status, c.Measures)
	if c.Start >= s.PeriodStart.Unix() {
		add(&s.Period, c.Status, c.Measures)
	}
	s.Newest = max(s.Newest, c.Start)
}

func add(counts *usagefeed.Counts, status usage.Status, m usage.Measures) {
	var totals usage.Totals
	totals.Add(status, m)
	counts.Requests += totals.Requests
	counts.Denied += totals.Denied
	counts.Succeeded += totals.Succeeded
	counts.Failed += totals.Failed
	counts.SpendMicrocents = usage.Sum(counts.SpendMicrocents, totals.SpendMicrocents)
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
		slices.SortFunc(slots, func(a, b Slot) int { return cmp.Or(cmp.Compare(a.Start, b.Start), compareSeries(a.Series, b.Series)) })
	}
}

func compareSeries(a, b *usage.Series) int {
	if order := bytes.Compare(a.Key[:], b.Key[:]); order != 0 {
		return order
	}
	left, right := texts(a), texts(b)
	for i := range left {
		if order := strings.Compare(left[i], right[i]); order != 0 {
			return order
		}
	}
	return 0
}
