// Package policy decides whether a key may be used for what is asked. It is pure: it reads
// a record and the time it is given, and limits, which change as they are asked, are not its matter.
package policy

import (
	"net/netip"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/network"
	"github.com/claviger-dev/claviger/internal/scope"
)

// State is what the owner of a key wants of it.
type State uint8

// The states. The zero value is an active key.
const (
	Active State = iota
	Disabled
	Revoked
)

// Key is an API key as the decision sees it.
type Key struct {
	ID          keyid.ID // zero: no key
	Name        string
	DisplayName string
	Generation  uint32 // which of the keys that it has had, from 1; zero: not known
	State       State
	ExpiresAt   time.Time // zero: never
}

// Class is what many keys have in common. It is immutable.
type Class struct {
	Namespace          string
	Environment        string
	Workspace, Account string // names; Account is empty where the keys act for none
	WorkspaceID        string // namespace/name
	Entity             Entity
	Scopes             scope.Set
	Grants             scope.Grants // what holds on single resources in the place of Scopes
	Networks           *network.Set // nil: from anywhere
	Metadata           map[string]string
}

// Entity is to whom the usage of a key is attributed.
type Entity struct {
	Kind       string `json:"kind,omitempty"`
	ID         string `json:"id,omitempty"`
	Department string `json:"department,omitempty"`
}

// Workspace is a tenant as the decision, and what is counted of it, see it. It is immutable.
type Workspace struct {
	Suspended bool
	// Billing is which periods usage is counted in; the index leaves it nil nowhere.
	Billing    *limit.Calendar
	RequestLog RequestLog
}

// RequestLog is which requests get a line in the log.
type RequestLog struct {
	Retention time.Duration // for how long a line is kept; zero: there is no log
	Percent   int           // of requests, by their IDs, from 1 to 100
}

// Account is a service account as the decision sees it. It is immutable.
type Account struct {
	Suspended bool
}

// Record is a key joined with what it belongs to, at the moment of a lookup. A nil
// Workspace, or a nil Account where the key names one, has been deleted. Without a Class it is no key.
type Record struct {
	Key       Key
	Class     *Class
	Workspace *Workspace
	Account   *Account

	// What holds on the resource that was asked for, once that was looked for.
	onResource scope.Set
	looked     bool
	granted    bool
}

// Request is what is asked of a key.
type Request struct {
	AllOf, AnyOf []string
	// Workspace is the ID that the key must belong to; empty: not asked.
	Workspace string
	// Resource is what the key is to be used on; empty: not asked.
	Resource string
	ClientIP netip.Addr
}

// step is one check of a decision. They run in order, and the first that fails decides. What makes a
// key none of the asker's business comes first, so that nothing about it is given away.
type step int

const (
	stepKey step = iota
	stepWorkspace
	stepState
	stepSuspension
	stepExpiry
	stepAddress
	stepResource
	stepScopes
	steps
)

var stepNames = [steps]string{"key", "workspace", "state", "suspension", "expiry", "address", "resource", "scopes"}

// run makes the check. It is a switch because arguments to a function that is found in a table
// would have to live on the heap.
func (s step) run(request *Request, record *Record, now time.Time) Code {
	switch s {
	case stepKey:
		return checkExists(record)
	case stepWorkspace:
		return checkWorkspace(request, record)
	case stepState:
		return checkState(record)
	case stepSuspension:
		return checkSuspended(record)
	case stepExpiry:
		return checkExpiry(record, now)
	case stepAddress:
		return checkAddress(request, record)
	case stepResource:
		return checkResource(request, record)
	default:
		return checkScopes(request, record)
	}
}

// Check decides. A nil record is an unknown key.
func Check(request *Request, record *Record, now time.Time) Code {
	for s := range steps {
		if code := s.run(request, record, now); code != CodeValid {
			return code
		}
	}
	return CodeValid
}

// Outcome is how one check ended.
type Outcome string

// The outcomes. A check is skipped where nothing is known that it could look at.
const (
	Passed  Outcome = "passed"
	Failed  Outcome = "failed"
	Skipped Outcome = "skipped"
)

// Result is one check of a decision that is explained.
type Result struct {
	Name    string
	Outcome Outcome
	Code    Code // of a check that failed
	Decided bool // this one, the first that failed, is the decision
}

// Explain makes the checks that Check makes, and those behind the first that fails too; but of a key
// that is none of the asker's business nothing more than that.
func Explain(request *Request, record *Record, now time.Time) []Result {
	results := make([]Result, 0, steps+1) // and room for the limits
	known := checkExists(record) == CodeValid
	decided := false
	for s := range steps {
		result := Result{Name: stepNames[s], Outcome: Skipped}
		if s == stepKey || known {
			result.Outcome = Passed
			if code := s.run(request, record, now); code != CodeValid {
				result.Outcome, result.Code, result.Decided = Failed, code, !decided
				decided = true
				known = known && s != stepWorkspace
			}
		}
		results = append(results, result)
	}
	return results
}

// checkExists fails closed: a key whose workspace or account was deleted belongs to nobody.
func checkExists(record *Record) Code {
	if record == nil || record.Class == nil || record.Workspace == nil ||
		record.Class.Account != "" && record.Account == nil {
		return CodeKeyInvalid
	}
	return CodeValid
}

func checkWorkspace(request *Request, record *Record) Code {
	if request.Workspace != "" && request.Workspace != record.Class.WorkspaceID {
		return CodeWorkspaceMismatch
	}
	return CodeValid
}

func checkState(record *Record) Code {
	switch record.Key.State {
	case Active:
		return CodeValid
	case Disabled:
		return CodeKeyDisabled
	default:
		return CodeKeyRevoked
	}
}

func checkSuspended(record *Record) Code {
	switch {
	case record.Workspace.Suspended:
		return CodeWorkspaceSuspended
	case record.Account != nil && record.Account.Suspended:
		return CodeAccountSuspended
	}
	return CodeValid
}

func checkExpiry(record *Record, now time.Time) Code {
	if end := record.Key.ExpiresAt; !end.IsZero() && !now.Before(end) {
		return CodeKeyExpired
	}
	return CodeValid
}

// checkAddress fails closed where the address is not known.
func checkAddress(request *Request, record *Record) Code {
	if record.Class.Networks != nil && !record.Class.Networks.Contains(request.ClientIP) {
		return CodeAddressDenied
	}
	return CodeValid
}

// checkResource is about resources on which nothing may be done at all.
func checkResource(request *Request, record *Record) Code {
	if request.Resource == "" {
		return CodeValid
	}
	if set, granted := record.on(request.Resource); granted && len(set.List()) == 0 {
		return CodeResourceDenied
	}
	return CodeValid
}

func checkScopes(request *Request, record *Record) Code {
	if len(request.AllOf) == 0 && len(request.AnyOf) == 0 {
		return CodeValid
	}
	set := record.Scopes(request.Resource)
	for _, wanted := range request.AllOf {
		if !set.Has(wanted) {
			return CodeScopeInsufficient
		}
	}
	if len(request.AnyOf) == 0 {
		return CodeValid
	}
	for _, wanted := range request.AnyOf {
		if set.Has(wanted) {
			return CodeValid
		}
	}
	return CodeScopeInsufficient
}

// Scopes are what the key may really do: on a resource, where one is named, and else at large.
// A revoked key may do nothing any more.
func (r *Record) Scopes(resource string) scope.Set {
	if r.Key.State >= Revoked {
		return scope.Set{}
	}
	if resource != "" {
		if set, granted := r.on(resource); granted {
			return set
		}
	}
	return r.Class.Scopes
}

// on looks for a grant to the resource that is asked for. That is the same one throughout a decision.
func (r *Record) on(resource string) (scope.Set, bool) {
	if !r.looked {
		r.onResource, r.granted = r.Class.Grants.For(resource)
		r.looked = true
	}
	return r.onResource, r.granted
}

var beginning = time.Unix(0, 0).UTC()

// ExpiresAt is when a key ends: the earliest of the end its spec states, the end that its
// time to live gives, and the end that was approved when it was issued or last changed. Zero is never,
// so an end that is stated to be the zero time, or any before 1970, is read as 1970.
func ExpiresAt(explicit *time.Time, ttl time.Duration, issuedAt time.Time, approved *time.Time) time.Time {
	var end time.Time
	earlier := func(t time.Time) {
		if t.Before(beginning) {
			t = beginning
		}
		if end.IsZero() || t.Before(end) {
			end = t
		}
	}
	if explicit != nil {
		earlier(*explicit)
	}
	if ttl > 0 {
		earlier(issuedAt.Add(ttl))
	}
	if approved != nil {
		earlier(*approved)
	}
	return end
}
