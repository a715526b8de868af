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
	last      usage.Event // the newest, by which a roll-up would have it
}

type codeCount struct {
	code  string
	count int64
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
	if k.codes == nil || k.hour != hour || k.workspace != e.Workspace {
		k.settle(e.Key, into)
		*k = tally{workspace: e.Workspace, hour: hour, codes: k.codes[:0], last: *e}
	}
	k.count(e.Code)
	k.last = usage.Newer(k.last, *e)
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

// settle puts what a tally counted into a roll-up.
func (k *tally) settle(key keyid.ID, into *usage.Rollup) {
	start := time.Unix(k.hour*secondsPerHour, 0).UTC()
	for _, c := range k.codes {
		into.AddCount(usage.Hour{Key: key, Workspace: k.workspace, Start: start, Code: c.code}, c.count, k.last)
	}
}

// settle puts all that was counted into a roll-up, and begins anew.
func (t tallies) settle(into *usage.Rollup) {
	for key, k := range t {
		k.settle(key, into)
	}
	clear(t)
}
