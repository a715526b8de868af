package usagerecorder

import (
	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
)

// tally counts the events of one key in one hour, which is most of what comes between two
// flushes, and costs a fraction of what a roll-up of all keys and hours does.
type tally struct {
	attribution usage.Attribution
	start       int64 // of the bucket
	lines       []tallyLine
	last        usage.Last
	refused     []limitRefused
}

type tallyLine struct {
	usage.Details
	usage.Measures
}

// limitRefused is what one limit refused the key.
type limitRefused struct {
	limit string
	usage.Refused
}

// tallies stand before a roll-up.
type tallies struct {
	keys   map[keyid.ID]*tally
	bounds bounds
}

func newTallies() tallies { return tallies{keys: map[keyid.ID]*tally{}, bounds: newBounds()} }

// add counts an event. Of a key whose hour or attribution has changed, what was counted before
// goes into the roll-up.
func (t *tallies) add(e *usage.Event, into *usage.Rollup) {
	start := usage.BucketStart(e)
	k := t.keys[e.Key]
	if k == nil {
		k = &tally{}
		t.keys[e.Key] = k
	}
	last := usage.LastOf(e)
	if k.lines == nil || k.start != start || k.attribution != e.Attribution {
		k.settle(e.Key, into)
		*k = tally{attribution: e.Attribution, start: start, lines: k.lines[:0], last: last, refused: k.refused[:0]}
	}
	t.count(k, e)
	k.last.Merge(&last)
	if e.Refusal != nil {
		e.EachRefused(k.refuse)
	}
}

func (t *tallies) count(k *tally, e *usage.Event) {
	line := k.line(&e.Details)
	if line == nil {
		// It is the first one since the last flush, so that this is looked at seldom.
		t.bounds.hold(e)
		if line = k.line(&e.Details); line == nil {
			k.lines = append(k.lines, tallyLine{Details: e.Details})
			line = &k.lines[len(k.lines)-1]
		}
	}
	line.Add(usage.MeasuresOf(e))
}

func (k *tally) line(of *usage.Details) *tallyLine {
	for i := range k.lines {
		if k.lines[i].Details == *of {
			return &k.lines[i]
		}
	}
	return nil
}

func (k *tally) refuse(limit string, refused usage.Refused) {
	for i := range k.refused {
		if k.refused[i].limit == limit {
			k.refused[i].Merge(&refused)
			return
		}
	}
	k.refused = append(k.refused, limitRefused{limit, refused})
}

// settle puts what a tally counted into a roll-up.
func (k *tally) settle(key keyid.ID, into *usage.Rollup) {
	if len(k.lines) == 0 {
		return
	}
	for i := range k.lines {
		series := usage.Series{Key: key, Attribution: k.attribution, Details: k.lines[i].Details}
		into.AddMeasures(usage.Bucket{Series: series, Start: k.start}, k.lines[i].Measures)
	}
	into.AddLast(key, &k.last)
	for i := range k.refused {
		into.AddRefused(usage.Pair{Limit: k.refused[i].limit, Key: key}, &k.refused[i].Refused)
	}
}

// settle puts all that was counted into a roll-up, and begins anew.
func (t *tallies) settle(into *usage.Rollup) {
	for key, k := range t.keys {
		k.settle(key, into)
	}
	clear(t.keys)
}
