package usage

import (
	"iter"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
)

// Series is what one line of a roll-up is of: events with everything in common but the time.
type Series struct {
	Key keyid.ID
	Attribution
	Details
}

// SeriesOf is an event's.
func SeriesOf(e *Event) Series { return Series{e.Key, e.Attribution, e.Details} }

// Bucket is a line of a roll-up: a series in one hour.
type Bucket struct {
	Series
	Start int64 // Unix seconds: an hour of UTC, or a quarter of one for a workspace with such a time zone
}

// The lengths of buckets, in seconds.
const (
	Hour    = 3600
	Quarter = Hour / 4
	Day     = 24 * Hour
)

// BucketStart is when the bucket begins that an event belongs to.
func BucketStart(e *Event) int64 {
	if e.Quarters {
		return floor(e.At.Unix(), Quarter)
	}
	return floor(e.At.Unix(), Hour)
}

// DayStart is when the day of UTC begins that a moment is in, both in Unix seconds.
func DayStart(at int64) int64 { return floor(at, Day) }

func floor(at, length int64) int64 {
	rest := at % length
	if rest < 0 {
		rest += length
	}
	return at - rest
}

// Rollup counts events by key, series and hour, and what limits refused. It is not safe for
// concurrent use.
type Rollup struct {
	Keys    map[keyid.ID]*Use
	Refused map[Pair]Refused
}

// NewRollup makes an empty roll-up.
func NewRollup() *Rollup {
	return &Rollup{Keys: make(map[keyid.ID]*Use), Refused: make(map[Pair]Refused)}
}

// Empty says whether nothing was counted.
func (r *Rollup) Empty() bool { return len(r.Keys) == 0 }

// All are the counts of all keys, in no order.
func (r *Rollup) All() iter.Seq[*Count] {
	return func(yield func(*Count) bool) {
		for _, use := range r.Keys {
			for _, c := range use.Counts {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// Lines is how many lines it has: buckets that something was counted in.
func (r *Rollup) Lines() (sum int) {
	for _, use := range r.Keys {
		sum += len(use.Counts)
	}
	return sum
}

// Add counts an event, and returns where.
func (r *Rollup) Add(e *Event) *Count { return r.AddBounded(e, nil) }

// AddBounded is Add with a function that may change what the event is told apart by, where it would be the first one
// of its bucket.
func (r *Rollup) AddBounded(e *Event, bound func(*Event)) *Count {
	use := r.Keys[e.Key]
	if use == nil {
		use = &Use{Last: LastOf(e)}
		r.Keys[e.Key] = use
	} else {
		use.Last.note(e)
	}
	start := BucketStart(e)
	c := use.find(start, &e.Attribution, &e.Details)
	if c == nil && bound != nil {
		bound(e)
		c = use.find(start, &e.Attribution, &e.Details)
	}
	if c == nil {
		c = use.begin(&Bucket{SeriesOf(e), start})
	}
	c.Add(MeasuresOf(e))
	if e.Refusal != nil {
		e.EachRefused(func(limit string, refused Refused) { r.AddRefused(Pair{limit, e.Key}, &refused) })
	}
	return c
}

// AddRefused counts what a limit refused a key.
func (r *Rollup) AddRefused(pair Pair, refused *Refused) {
	known := r.Refused[pair]
	known.Merge(refused)
	r.Refused[pair] = known
}

// Merge counts all that another roll-up counted, which stays as it is, and returns how many lines are new. The order
// of merging makes no difference.
func (r *Rollup) Merge(other *Rollup) (lines int) { return r.merge(other, (*Use).clone) }

// Absorb is Merge of a roll-up that is not needed any more, and must not be used.
func (r *Rollup) Absorb(other *Rollup) (lines int) {
	return r.merge(other, func(u *Use) *Use { return u })
}

func (r *Rollup) merge(other *Rollup, taken func(*Use) *Use) (lines int) {
	for key, theirs := range other.Keys {
		ours := r.Keys[key]
		if ours == nil {
			ours = taken(theirs)
			r.Keys[key] = ours
			lines += len(ours.Counts)
			continue
		}
		before := len(ours.Counts)
		ours.merge(theirs)
		lines += len(ours.Counts) - before
	}
	for pair, refused := range other.Refused {
		r.AddRefused(pair, &refused)
	}
	return lines
}

// Time is Unix seconds as a time.
func Time(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }
