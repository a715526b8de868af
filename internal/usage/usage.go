// Package usage is what happened: events, and the roll-ups they are counted in. It is pure.
package usage

import (
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
)

// Event is one decision about a known key.
type Event struct {
	Key       keyid.ID
	Workspace string // the ID: namespace/name
	At        time.Time
	// Code is the decision, as package policy names it.
	Code string
	// Remaining is what the tightest limit had left afterwards, and ResetAt when that limit
	// is whole again. Without a limit Remaining is NoLimit.
	Remaining int64
	ResetAt   time.Time
	// BudgetRemaining and BudgetResetAt are the same, in microcents, of the budget of which the least was left.
	BudgetRemaining int64
	BudgetResetAt   time.Time
	// Refusal is which limits refused it, or would have; nil: none.
	Refusal *Refusal
	// Requests and SpendMicrocents are what it cost, Tier and Domain what it is told apart by.
	Requests, SpendMicrocents int64
	Tier, Domain              string
}

// Refusal is what limits had against a request. They are identified by the UIDs of KeyLimits.
type Refusal struct {
	// By is the limit that refused it; empty: none did. Until is how long it will go on to.
	By    string
	Until time.Time
	// Shadows would have refused it, were they not in shadow.
	Shadows []string
}

// NoLimit is the Remaining of a request that no limit held for.
const NoLimit = -1

// Hour identifies a line of a roll-up: what one key was answered in one hour, in UTC.
type Hour struct {
	Key       keyid.ID
	Workspace string
	Start     time.Time
	Code      string
}

// Last is the newest that is known of a key.
type Last struct {
	Workspace string
	UsedAt    time.Time
	Remaining int64
	ResetAt   time.Time
}

// Rollup counts events by key, hour and decision. It is not safe for concurrent use.
type Rollup struct {
	Hours map[Hour]int64
	Last  map[keyid.ID]Last
}

// NewRollup makes an empty roll-up.
func NewRollup() *Rollup {
	return &Rollup{Hours: make(map[Hour]int64), Last: make(map[keyid.ID]Last)}
}

// Empty says whether nothing was counted.
func (r *Rollup) Empty() bool { return len(r.Hours) == 0 }

// Add counts an event.
func (r *Rollup) Add(e Event) {
	r.Hours[Hour{e.Key, e.Workspace, e.At.UTC().Truncate(time.Hour), e.Code}]++
	r.seen(e.Key, Last{e.Workspace, e.At, e.Remaining, e.ResetAt})
}

// AddCount counts several events of one line, of which last is the newest.
func (r *Rollup) AddCount(line Hour, count int64, last Event) {
	r.Hours[line] += count
	r.seen(line.Key, Last{line.Workspace, last.At, last.Remaining, last.ResetAt})
}

// Newer is the one of two events of a key by which a Rollup says how the key was last used.
func Newer(a, b Event) Event {
	if newer(Last{UsedAt: b.At, Remaining: b.Remaining}, Last{UsedAt: a.At, Remaining: a.Remaining}) {
		return b
	}
	return a
}

// Merge counts all that another roll-up counted. The order of merging makes no difference.
func (r *Rollup) Merge(other *Rollup) {
	for hour, count := range other.Hours {
		r.Hours[hour] += count
	}
	for key, last := range other.Last {
		r.seen(key, last)
	}
}

func (r *Rollup) seen(key keyid.ID, last Last) {
	if known, ok := r.Last[key]; !ok || newer(last, known) {
		r.Last[key] = last
	}
}

// newer says which of two comes first; of two at the same moment the one with less left, so
// that any order of merging ends the same.
func newer(a, b Last) bool {
	return a.UsedAt.After(b.UsedAt) || a.UsedAt.Equal(b.UsedAt) && a.Remaining < b.Remaining
}
