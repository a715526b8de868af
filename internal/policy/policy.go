// Package policy decides whether a key may be used for what is asked. It is pure: it reads
// a record and the time it is given, and limits, which change as they are asked, are not its matter.
package policy

import (
	"net/netip"
	"time"

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

// Key is an API key as the decision sees it. It is immutable.
type Key struct {
	ID, Name, Namespace string
	DisplayName         string
	Environment         string
	Workspace, Account  string // names; Account is empty where the key acts for none
	State               State
	Scopes              scope.Set
	AllowedCIDRs        []netip.Prefix // empty: from anywhere
	ExpiresAt           time.Time      // zero: never
	Entity              Entity
	Metadata            map[string]string
}

// Entity is to whom the usage of a key is attributed.
type Entity struct {
	Kind, ID, Department string
}

// Workspace is a tenant as the decision sees it. It is immutable.
type Workspace struct {
	ID        string // namespace/name
	Suspended bool
}

// Account is a service account as the decision sees it. It is immutable.
type Account struct {
	Name      string
	Suspended bool
}

// Record is a key joined with what it belongs to, at the moment of a lookup. A nil
// Workspace, or a nil Account where the key names one, has been deleted.
type Record struct {
	Key       *Key
	Workspace *Workspace
	Account   *Account
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

// check is one step of a decision.
type check struct {
	name string
	run  func(*Request, *Record, time.Time) Code
}

// checks run in order, and the first that fails decides. What makes a key none of the
// asker's business comes first, so that nothing about it is given away.
var checks = [...]check{
	{"key", checkExists},
	{"workspace", checkWorkspace},
	{"state", checkState},
	{"suspension", checkSuspended},
	{"expiry", checkExpiry},
	{"address", checkAddress},
	{"scopes", checkScopes},
}

// Check decides. A nil record is an unknown key.
func Check(request *Request, record *Record, now time.Time) Code {
	for i := range checks {
		if code := checks[i].run(request, record, now); code != CodeValid {
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

// Explain makes the checks that Check makes, and those behind the first that fails too.
func Explain(request *Request, record *Record, now time.Time) []Result {
	results := make([]Result, 0, len(checks)+1)
	decided := false
	for i := range checks {
		result := Result{Name: checks[i].name, Outcome: Skipped}
		if i == 0 || checkExists(request, record, now) == CodeValid {
			result.Outcome = Passed
			if code := checks[i].run(request, record, now); code != CodeValid {
				result.Outcome, result.Code, result.Decided = Failed, code, !decided
				decided = true
			}
		}
		results = append(results, result)
	}
	return results
}

// checkExists fails closed: a key whose workspace or account was deleted belongs to nobody.
func checkExists(_ *Request, record *Record, _ time.Time) Code {
	if record == nil || record.Key == nil || record.Workspace == nil ||
		record.Key.Account != "" && record.Account == nil {
		return CodeKeyInvalid
	}
	return CodeValid
}

func checkWorkspace(request *Request, record *Record, _ time.Time) Code {
	if request.Workspace != "" && request.Workspace != record.Workspace.ID {
		return CodeWorkspaceMismatch
	}
	return CodeValid
}

func checkState(_ *Request, record *Record, _ time.Time) Code {
	switch record.Key.State {
	case Active:
		return CodeValid
	case Disabled:
		return CodeKeyDisabled
	default:
		return CodeKeyRevoked
	}
}

func checkSuspended(_ *Request, record *Record, _ time.Time) Code {
	switch {
	case record.Workspace.Suspended:
		return CodeWorkspaceSuspended
	case record.Account != nil && record.Account.Suspended:
		return CodeAccountSuspended
	}
	return CodeValid
}

func checkExpiry(_ *Request, record *Record, now time.Time) Code {
	if end := record.Key.ExpiresAt; !end.IsZero() && !now.Before(end) {
		return CodeKeyExpired
	}
	return CodeValid
}

// checkAddress fails closed where the address is not known.
func checkAddress(request *Request, record *Record, _ time.Time) Code {
	if len(record.Key.AllowedCIDRs) == 0 {
		return CodeValid
	}
	address := request.ClientIP.Unmap()
	for _, network := range record.Key.AllowedCIDRs {
		if network.Contains(address) {
			return CodeValid
		}
	}
	return CodeAddressDenied
}

func checkScopes(request *Request, record *Record, _ time.Time) Code {
	for _, wanted := range request.AllOf {
		if !record.Key.Scopes.Has(wanted) {
			return CodeScopeInsufficient
		}
	}
	if len(request.AnyOf) == 0 {
		return CodeValid
	}
	for _, wanted := range request.AnyOf {
		if record.Key.Scopes.Has(wanted) {
			return CodeValid
		}
	}
	return CodeScopeInsufficient
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
