package usage

import (
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
)

// Hour identifies a line of a roll-up: what one key was answered in one hour, in UTC.
type Hour struct {
	Key       keyid.ID
	Workspace string
	Start     time.Time
	Code      string
}

// Rollup counts events by key, hour and decision, and what limits refused. It is not safe for
// concurrent use.
type Rollup struct {
	Hours   map[Hour]int64
	Last    map[keyid.ID]Last
	Refused map[Pair]Refused
}

// NewRollup makes an empty roll-up.
func NewRollup() *Rollup {
	return &Rollup{Hours: make(map[Hour]int64), Last: make(map[keyid.ID]Last), Refused: make(map[Pair]Refused)}
}

// Empty says whether nothing was counted.
func (r *Rollup) Empty() bool { return len(r.Hours) == 0 }

// Add counts an event.
func (r *Rollup) Add(e Event) {
	r.AddCount(Hour{e.Key, e.Workspace, e.At.UTC().Truncate(time.Hour), e.Code}, 1)
	last := LastOf(&e)
	r.AddLast(e.Key, &last)
	e.EachRefused(func(limit string, refused Refused) { r.AddRefused(Pair{limit, e.Key}, &refused) })
}

// AddCount counts several events of one line. Of all events that are counted so, AddLast and
// AddRefused must be told what they tell.
func (r *Rollup) AddCount(line Hour, count int64) { r.Hours[line] += count }

// AddLast takes note of how a key was used last.
func (r *Rollup) AddLast(key keyid.ID, last *Last) {
	known, ok := r.Last[key]
	if !ok {
		known = *last
	}
	known.Merge(last)
	r.Last[key] = known
}

// AddRefused counts what a limit refused a key.
func (r *Rollup) AddRefused(pair Pair, refused *Refused) {
	known := r.Refused[pair]
	known.Merge(refused)
	r.Refused[pair] = known
}

// Merge counts all that another roll-up counted. The order of merging makes no difference.
func (r *Rollup) Merge(other *Rollup) {
	for hour, count := range other.Hours {
		r.AddCount(hour, count)
	}
	for key, last := range other.Last {
		r.AddLast(key, &last)
	}
	for pair, refused := range other.Refused {
		r.AddRefused(pair, &refused)
	}
}
