// Package usagefeed is what a verifier tells the operator about usage: which keys changed
// since it was last asked, and what has been counted for them. Both sides speak it, so it
// belongs to neither.
package usagefeed

import "time"

// Path is where a verifier serves the feed of keys, LimitsPath where it serves that of KeyLimits, and After
// the query parameter that says from where on: GET /usage?after=42. GroupsPath is the feed of Workspaces and
// ServiceAccounts.
const (
	Path       = "/usage"
	GroupsPath = "/usage/groups"
	LimitsPath = "/limits"
	After      = "after"
)

// Audience is whom the operator's token for the verifier is made out to. The verifier cannot use
// such a token against the API server, where the operator may read Secrets.
const Audience = "claviger-verifier"

// PageSize is the most keys, or limits, on one page.
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
	// Shared says that all verifiers store usage in one place: then this page tells of what any of them counted.
	Shared bool `json:"shared,omitempty"`
	// CountedUntil is a moment before which all that this verifier decided is in its store: what waits for that
	// longer, because the store is away, is not told yet. Absent: the verifier does not know.
	CountedUntil time.Time `json:"countedUntil,omitzero"`
	Keys         []Key     `json:"keys"`
}

// Key is what has been counted for one key.
type Key struct {
	ID        string `json:"keyID"`
	Workspace string `json:"workspace"`
	Period    Period `json:"period"`
	Total     Counts `json:"total"`
	// Remaining requests and ResetAt are absent where no limit held when the key was last used.
	Remaining *int64     `json:"remaining,omitempty"`
	ResetAt   *time.Time `json:"resetAt,omitempty"`
	// BudgetRemaining, in microcents, and BudgetResetAt are absent where no budget did.
	BudgetRemaining *int64     `json:"budgetRemaining,omitempty"`
	BudgetResetAt   *time.Time `json:"budgetResetAt,omitempty"`
	// Exhausted is the quota or budget that the key has used up; absent while it has not.
	Exhausted *Exhausted `json:"exhausted,omitempty"`
	// LastUsedAt is absent where the key was never presented, and only outcomes were reported.
	LastUsedAt time.Time `json:"lastUsedAt,omitzero"`
	// Generations are the newest two of the key's generations that were presented, the newer first.
	Generations []Generation `json:"generations,omitempty"`
}

// Generation is one of the keys that an ApiKey has had.
type Generation struct {
	Number     int       `json:"generation"`
	LastUsedAt time.Time `json:"lastUsedAt"`
}

// Exhausted is a quota or a budget that is used up.
type Exhausted struct {
	// Limit is the UID of the KeyLimit.
	Limit string `json:"limit"`
	// Code is QUOTA_EXHAUSTED or BUDGET_EXHAUSTED.
	Code    string    `json:"code"`
	ResetAt time.Time `json:"resetAt"`
}

// LimitPage is one answer of the feed of limits. Epoch and Next are as those of a Page.
type LimitPage struct {
	Epoch  string  `json:"epoch"`
	Next   int64   `json:"next"`
	Limits []Limit `json:"limits"`
}

// Limit is what has been counted for one KeyLimit.
type Limit struct {
	// ID is its UID.
	ID string `json:"limit"`
	// Denied requests, and those that it would have denied, were it not in shadow: all that were ever counted.
	Denied       int64 `json:"denied"`
	ShadowDenied int64 `json:"shadowDenied"`
	// ThrottledKeys are refused by a rate or by concurrency now, ExhaustedKeys until a quota or a
	// budget begins anew.
	ThrottledKeys int32 `json:"throttledKeys"`
	ExhaustedKeys int32 `json:"exhaustedKeys"`
}

// GroupPage is one answer of the feed of groups. Epoch, Next and Shared are as those of a Page.
type GroupPage struct {
	Epoch  string  `json:"epoch"`
	Next   int64   `json:"next"`
	Shared bool    `json:"shared,omitempty"`
	Groups []Group `json:"groups"`
}

// Group is what has been counted for all keys of a Workspace or a ServiceAccount, and be they deleted.
type Group struct {
	// Kind is KindWorkspace or KindServiceAccount, and Name is namespace/name.
	Kind       string    `json:"kind"`
	Name       string    `json:"name"`
	Period     Period    `json:"period"`
	Total      Counts    `json:"total"`
	LastUsedAt time.Time `json:"lastUsedAt,omitzero"`
}

// The kinds of groups.
const (
	KindWorkspace      = "Workspace"
	KindServiceAccount = "ServiceAccount"
)

// Period is what was counted since its start, which is that of the workspace's current billing period.
type Period struct {
	Start time.Time `json:"start"`
	Counts
}

// Counts are requests by how they were decided, each under one of Requests (allowed) and Denied, and by how they
// ended, as far as that was reported; and what they cost.
type Counts struct {
	Requests        int64 `json:"requests"`
	Denied          int64 `json:"denied"`
	Succeeded       int64 `json:"succeeded"`
	Failed          int64 `json:"failed"`
	SpendMicrocents int64 `json:"spendMicrocents"`
}

// PeriodStart is when the period began that a moment lies in.
func PeriodStart(at time.Time) time.Time {
	year, month, _ := at.UTC().Date()
	return time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
}
