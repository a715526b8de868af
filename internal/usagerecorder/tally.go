package usagerecorder

import (
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
)

const secondsPerHour = 3600

// tally counts the events of one key in one hour, which is most of what comes between two
// flushes, and costs a fraction of what a roll-up of all keys and hours does.
type tally struct {
	workspace string
	hour      int64 // since 1970
	codes     []codeCount
	last      usage.Last
	refused   []limitRefused
}

type codeCount struct {
	code  string
	count int64
}

// limitRefused is what one limit refused the key.
type limitRefused struct {
	limit string
	usage.Refused
}

// tallies stand before a roll-up.
type tallies map[keyid.ID]*tally

// add counts an event. Of a key whose hour or workspace has changed, what was counted before
// goes into the roll-up.
func (t tallies) add(e *usage.Event, into *usage.Rollup) {
	hour := e.At.Unix() / secondsPerHour
	k := t[e.Key]
	if k == nil {
		k = &tally{}
		t[e.Key] = k
	}
	last := usage.LastOf(e)
	if k.codes == nil || k.hour != hour || k.workspace != e.Workspace {
		k.settle(e.Key, into)
		*k = tally{workspace: e.Workspace, hour: hour, codes: k.codes[:0], last: last, refused: k.refused[:0]}
	}
	k.count(e.Code)
	k.last.Merge(&last)
	if e.Refusal != nil {
		e.EachRefused(k.refuse)
	}
}

func (k *tally) count(code string) {
	for i := range k.codes {
		if k.codes[i].code == code {
			k.codes[i].count++
			return
		}
	}
	k.codes = append(k.codes, codeCount{code, 1})
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
	if len(k.codes) == 0 {
		return
	}
	start := time.Unix(k.hour*secondsPerHour, 0).UTC()
	for _, c := range k.codes {
		into.AddCount(usage.Hour{Key: key, Workspace: k.workspace, Start: start, Code: c.code}, c.count)
	}
	into.AddLast(key, &k.last)
	for i := range k.refused {
		into.AddRefused(usage.Pair{Limit: k.refused[i].limit, Key: key}, &k.refused[i].Refused)
	}
}

// settle puts all that was counted into a roll-up, and begins anew.
func (t tallies) settle(into *usage.Rollup) {
	for key, k := range t {
		k.settle(key, into)
	}
	clear(t)
}
