package verifier

import (
	"fmt"
	"net/netip"

	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/scope"
)

// What a request may hold at most.
const (
	// MaxScopes is how many scopes a request may name in each list.
	MaxScopes = 100
	// MaxText is the length of the longest workspace, resource or label, in bytes.
	MaxText = 512
)

// Request is what is asked. All but the Key may be left out.
type Request struct {
	// ID names the request to whoever reports later what became of it: see Verifier.Report. Requests of one ID are
	// told apart no further. It is needed only where a limit counts requests that are under way.
	ID string
	// Key is the key in plain text, as the client sent it.
	Key string
	// Scopes are what the key must be allowed to do.
	Scopes Scopes
	// Workspace is the ID ("namespace/name") that the key's workspace must have; empty: any.
	Workspace string
	// Resource is what the key is to be used on. Where the key has a grant for it, the grant's
	// scopes stand in the place of the key's; empty: the key's scopes decide.
	Resource string
	// ClientIP is where the client is. Where it is not known, a key that is bound to networks
	// is refused.
	ClientIP netip.Addr
	// Cost is what the request takes from the key's limits.
	Cost Cost
	// Labels are what the usage is told apart by.
	Labels Labels
	// Explain asks for Decision.Checks.
	Explain bool
}

// Scopes are conditions on a key's scopes; an empty list is none.
type Scopes struct {
	AllOf []string // each of them
	AnyOf []string // at least one of them
}

// Cost is what a request takes.
type Cost struct {
	// Requests it counts as; zero is one.
	Requests int64
	// SpendMicrocents it is billed with, as far as that is known before. What is known only afterwards
	// is for Verifier.Report.
	SpendMicrocents int64
}

// Labels are recorded with the usage.
type Labels struct {
	Tier, Domain string
}

// validate finds what makes the question itself senseless. A malformed scope is no scope that
// a key merely lacks: the configuration of whoever asks is wrong, and he should hear it.
func (r *Request) validate() error {
	if err := validateScopes("allOf", r.Scopes.AllOf); err != nil {
		return err
	}
	if err := validateScopes("anyOf", r.Scopes.AnyOf); err != nil {
		return err
	}
	switch {
	case r.Cost.Requests < 0 || r.Cost.Requests > limit.MaxRequests:
		return fmt.Errorf("cost.requests must be from 1 to %d", limit.MaxRequests)
	case r.Cost.SpendMicrocents < 0 || r.Cost.SpendMicrocents > limit.MaxCounted:
		return fmt.Errorf("cost.spendMicrocents must be from 0 to %d", int64(limit.MaxCounted))
	}
	// Not in a loop over a list of them: that would be made anew for each request.
	switch {
	case len(r.Workspace) > MaxText:
		return tooLong("workspace")
	case len(r.Resource) > MaxText:
		return tooLong("resource")
	case len(r.Labels.Tier) > MaxText:
		return tooLong("labels.tier")
	case len(r.Labels.Domain) > MaxText:
		return tooLong("labels.domain")
	}
	return nil
}

func tooLong(field string) error {
	return fmt.Errorf("%s is longer than %d bytes", field, MaxText)
}

func validateScopes(list string, scopes []string) error {
	if len(scopes) > MaxScopes {
		return fmt.Errorf("%s names more than %d scopes", list, MaxScopes)
	}
	for i, s := range scopes {
		if err := scope.Validate(s); err != nil {
			return fmt.Errorf("scope %d of those required (%s) is malformed: %w", i+1, list, err)
		}
	}
	return nil
}
