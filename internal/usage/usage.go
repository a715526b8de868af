// Package usage is what happened: events, and the roll-ups they are counted in. It is pure.
package usage

import (
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
)

// Event is one decision about a known key.
type Event struct {
	Key        keyid.ID
	Generation uint32 // which of its keys was presented, from 1; zero: not known
	Workspace  string // the ID: namespace/name
	At         time.Time
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
