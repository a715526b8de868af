// Package usagefeed is what a verifier tells the operator about usage: which keys changed
// since it was last asked, and what has been counted for them. Both sides speak it, so it
// belongs to neither.
package usagefeed

import "time"

// Path is where a verifier serves the feed, and After the query parameter that says from
// where on: GET /usage?after=42.
const (
	Path  = "/usage"
	After = "after"
)

// Audience is whom the operator's token for the verifier is made out to. The verifier cannot use
// such a token against the API server, where the operator may read Secrets.
const Audience = "claviger-verifier"

// PageSize is the most keys on one page.
const PageSize = 1000

// Page is one answer. Its keys are in the order in which they changed.
type Page struct {
	// Epoch changes when what was read before may no longer hold: when another store
	// answers, or a new period has begun and every count of the period starts at zero.
	// Whoever sees it change reads again from zero.
	Epoch string `json:"epoch"`
	// Next is what to ask after for the following page. It equals what was asked after
	// when nothing is new.
	Next int64 `json:"next"`
	Keys []Key `json:"keys"`
}

// Key is what has been counted for one key.
type Key struct {
	ID        string `json:"keyID"`
	Workspace string `json:"workspace"`
	Period    Period `json:"period"`
	Total     Counts `json:"total"`
	// Remaining and ResetAt are absent where no limit held when the key was last used.
	Remaining  *int64     `json:"remaining,omitempty"`
	ResetAt    *time.Time `json:"resetAt,omitempty"`
	LastUsedAt time.Time  `json:"lastUsedAt"`
}

// Period is what was counted since its start: the first of the month, 00:00 UTC.
type Period struct {
	Start time.Time `json:"start"`
	Counts
}

// Counts are decisions: requests that were allowed, and those that were denied.
type Counts struct {
	Requests int64 `json:"requests"`
	Denied   int64 `json:"denied"`
}

// PeriodStart is when the period began that a moment lies in.
func PeriodStart(at time.Time) time.Time {
	year, month, _ := at.UTC().Date()
	return time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
}
