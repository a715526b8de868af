package verifier

import (
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/policy"
)

// Code names a decision: VALID, or why not. The names are part of the API.
type Code = policy.Code

// The decisions.
const (
	CodeValid               = policy.CodeValid
	CodeKeyRequired         = policy.CodeKeyRequired
	CodeKeyInvalid          = policy.CodeKeyInvalid
	CodeKeyExpired          = policy.CodeKeyExpired
	CodeKeyRevoked          = policy.CodeKeyRevoked
	CodeKeyDisabled         = policy.CodeKeyDisabled
	CodeWorkspaceSuspended  = policy.CodeWorkspaceSuspended
	CodeWorkspaceMismatch   = policy.CodeWorkspaceMismatch
	CodeAccountSuspended    = policy.CodeAccountSuspended
	CodeScopeInsufficient   = policy.CodeScopeInsufficient
	CodeResourceDenied      = policy.CodeResourceDenied
	CodeAddressDenied       = policy.CodeAddressDenied
	CodeRateLimited         = policy.CodeRateLimited
	CodeQuotaExhausted      = policy.CodeQuotaExhausted
	CodeBudgetExhausted     = policy.CodeBudgetExhausted
	CodeConcurrencyExceeded = policy.CodeConcurrencyExceeded
	CodeLimitsUnavailable   = policy.CodeLimitsUnavailable
	CodeRequestInvalid      = policy.CodeRequestInvalid
)

// KeyID identifies a key: the UID of its ApiKey. Its String is the UID's text.
type KeyID = keyid.ID

// Decision is the answer.
type Decision struct {
	Code Code
	// Status is the HTTP status to give the client.
	Status int
	// Error is the text to give the client; empty if the request may pass.
	Error string
	// Key is whose key it is. It is zero where that is not known or not for the asker to know.
	Key Key
	// Limits is how the key's limits stand, if they were asked: after VALID, and where one of them refused. Those
	// in shadow are not among them.
	Limits Limits
	// RetryAfter is how long to wait where a limit refused.
	RetryAfter time.Duration
	// At is when it was decided: what ResetAt of the limits is to be compared with.
	At time.Time
	// Checks are all that were made, in order, if the request asked for an explanation.
	Checks []Check
}

// Valid says whether the request may pass.
func (d *Decision) Valid() bool { return d.Code == policy.CodeValid }

// Check is one step of a decision.
type Check = policy.Result

// Key is a key's identity. Its slice and map must not be changed.
type Key struct {
	ID             KeyID
	Name           string // of the ApiKey
	Namespace      string
	Workspace      string // the ID: namespace/name
	Environment    string // live or test
	DisplayName    string
	ServiceAccount string   // empty: none
	Scopes         []string // what the key may really do, in order; on the Resource, where one was asked for
	Entity         Entity
	Metadata       map[string]string
	ExpiresAt      time.Time // zero: never
}

// Entity is to whom a key's usage is attributed; zero: nobody in particular.
type Entity = policy.Entity

// LimitKind is what a limit counts.
type LimitKind = limit.Kind

// The kinds of limits.
const (
	LimitSpan        = limit.Span        // requests in each Per, from the first one on
	LimitTokens      = limit.Tokens      // requests in each Per, evenly, and Capacity at once
	LimitQuota       = limit.Quota       // requests in each day, week or month
	LimitBudget      = limit.Budget      // microcents in each day, week or month
	LimitConcurrency = limit.Concurrency // requests at once
)

// Limit is one rule of a KeyLimit, and how it stands.
type Limit struct {
	Name string // of the KeyLimit
	Kind LimitKind
	// Max is how much there is in each Per, or at once: requests, or microcents of a budget.
	Max int64
	// Per is the span, or how long the calendar's period is that holds now; of LimitConcurrency after
	// how long a request is taken to be over.
	Per time.Duration
	// Reset is which periods those of a quota or a budget are.
	Reset limit.Reset
	// Capacity is the most that can be asked at once: Max, or the burst.
	Capacity  int64
	Remaining int64
	// ResetAt is when the limit is whole again if nothing more is asked.
	ResetAt time.Time
}

// fewLimits is how many limits a Decision holds without memory of their own.
const fewLimits = 4

// Limits is a list of limits, in a form that most keys need no memory for.
type Limits struct {
	length int
	few    [fewLimits]Limit
	more   []Limit
	slots  bool
}

// UnderWay says of a request that may pass whether a limit, be it one in shadow, counts it for as long as it is under
// way. Then Verifier.Report is for when it is over.
func (l *Limits) UnderWay() bool { return l.slots }

// Len is how many there are.
func (l *Limits) Len() int { return l.length }

// At is the limit at a place from 0 to Len-1.
func (l *Limits) At(i int) *Limit {
	if i < fewLimits {
		return &l.few[i]
	}
	return &l.more[i-fewLimits]
}

// add makes room for one more.
func (l *Limits) add() *Limit {
	if l.length >= fewLimits {
		l.more = append(l.more, Limit{})
	}
	l.length++
	return l.At(l.length - 1)
}

func (d *Decision) answer(code Code) {
	d.Code, d.Status, d.Error = code, code.Status(), code.Message()
}

// tellsIdentity says whether the asker is entitled to know whose key it is: not of a key
// of another workspace, nor of one that belongs to nobody any more.
func tellsIdentity(code Code) bool {
	return code != policy.CodeWorkspaceMismatch && code != policy.CodeKeyInvalid
}

func identity(record *policy.Record, resource string) Key {
	k, c := &record.Key, record.Class
	return Key{
		ID:             k.ID,
		Name:           k.Name,
		Namespace:      c.Namespace,
		Workspace:      c.WorkspaceID,
		Environment:    c.Environment,
		DisplayName:    k.DisplayName,
		ServiceAccount: c.Account,
		Scopes:         record.Scopes(resource).List(),
		Entity:         c.Entity,
		Metadata:       c.Metadata,
		ExpiresAt:      k.ExpiresAt,
	}
}
