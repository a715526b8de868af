// Package usage is what happened: events, and the roll-ups they are counted in. It is pure.
package usage

import (
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
)

// Event is one thing that happened with a known key: a decision about a request, or the outcome of one, which
// was reported after it.
type Event struct {
	Key        keyid.ID
	Generation uint32 // which of its keys was presented, from 1; zero: not known
	Attribution
	Details
	// RequestID is whatever the request is known by. Of several outcomes of one request only the first counts.
	RequestID string
	At        time.Time
	// PeriodStart is when the billing period began that At is in, and Quarters says that the workspace's local
	// days do not begin with an hour of UTC.
	PeriodStart time.Time
	Quarters    bool
	// KeepLine is for how long the event stays in the request log; zero: it does not come there.
	KeepLine time.Duration

	SpendMicrocents int64
	Latency         time.Duration // of an outcome; zero: not known
	Bytes           int64         // sent to the client
	HTTPStatus      int           // that the client got; zero: not known

	// Of decisions only:

	// Remaining is what the tightest limit had left afterwards, and ResetAt when that limit
	// is whole again. Without a limit Remaining is NoLimit.
	Remaining int64
	ResetAt   time.Time
	// BudgetRemaining and BudgetResetAt are the same, in microcents, of the budget of which the least was left.
	BudgetRemaining int64
	BudgetResetAt   time.Time
	// Refusal is which limits refused it, or would have; nil: none.
	Refusal *Refusal
}

// Attribution is whom a key belongs to. It is as it was when the event happened.
type Attribution struct {
	Workspace      string // the ID: namespace/name
	ServiceAccount string // the name, in the workspace's namespace; empty: none
	EntityKind     string
	EntityID       string
	Department     string
	Environment    string // live or test
}

// Details are what the events of one key are told apart by.
type Details struct {
	Status Status
	// Error is why it was denied, as package policy names it, or why it failed, as it was reported.
	Error string
	// Tier and Domain are labels, Resource is what the key was used on.
	Tier, Domain, Resource string
}

// Status is how a request was decided, or how it ended.
type Status uint8

// The statuses: two of decisions, and three of outcomes. Reported is of a request of which was said what it
// cost, and not how it ended.
const (
	Allowed Status = iota
	Denied
	Succeeded
	Failed
	Reported
)

// Statuses are the names, as they are stored and queried.
var Statuses = [...]string{Allowed: "allowed", Denied: "denied", Succeeded: "success", Failed: "failed", Reported: "reported"}

// String implements fmt.Stringer.
func (s Status) String() string {
	if int(s) < len(Statuses) {
		return Statuses[s]
	}
	return "unknown"
}

// Outcome says whether it is how a request ended, and not how it was decided.
func (s Status) Outcome() bool { return s >= Succeeded }

// ParseStatus reads what String writes.
func ParseStatus(text string) (s Status, ok bool) {
	for i, name := range Statuses {
		if name == text {
			return Status(i), true
		}
	}
	return 0, false
}

// Refusal is which limits had something against a request. They are identified by the UIDs of KeyLimits.
type Refusal struct {
	// By is the limit that refused it; empty: none did. Until is how long it will go on to.
	By    string
	Until time.Time
	// Shadows would have refused it, were they not in shadow.
	Shadows []string
}

// NoLimit is the Remaining of a request that no limit held for.
const NoLimit = -1
