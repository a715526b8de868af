package usage

import (
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

// Rollup counts events by series and hour, and what limits refused. It is not safe for
// concurrent use.
type Rollup struct {
	Buckets map[Bucket]Measures
	Last    map[keyid.ID]Last
	Refused map[Pair]Refused
}

// NewRollup makes an empty roll-up.
func NewRollup() *Rollup {
	return &Rollup{Buckets: make(map[Bucket]Measures), Last: make(map[keyid.ID]Last), Refused: make(map[Pair]Refused)}
}

// Empty says whether nothing was counted.
func (r *Rollup) Empty() bool { return len(r.Buckets) == 0 }

// Events is how many were counted.
func (r *Rollup) Events() (sum int64) {
	for _, m := range r.Buckets {
		sum += m.Count
	}
	return sum
}

// Add counts an event.
func (r *Rollup) Add(e *Event) {
	r.AddMeasures(Bucket{SeriesOf(e), BucketStart(e)}, MeasuresOf(e))
	last := LastOf(e)
	r.AddLast(e.Key, &last)
	e.EachRefused(func(limit string, refused Refused) { r.AddRefused(Pair{limit, e.Key}, &refused) })
}

// AddMeasures counts several events of one bucket. Of all events that are counted so, AddLast and
// AddRefused must be told what they tell.
func (r *Rollup) AddMeasures(bucket Bucket, measures Measures) {
	sum := r.Buckets[bucket]
	sum.Add(measures)
	r.Buckets[bucket] = sum
}

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
	for bucket, measures := range other.Buckets {
		r.AddMeasures(bucket, measures)
	}
	for key, last := range other.Last {
		r.AddLast(key, &last)
	}
	for pair, refused := range other.Refused {
		r.AddRefused(pair, &refused)
	}
}

// Time is Unix seconds as a time.
func Time(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }
