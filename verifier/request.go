package verifier

import (
	"fmt"
	"net/netip"

	"github.com/claviger-dev/claviger/internal/scope"
)

// MaxScopes is how many scopes a request may name in each list.
const MaxScopes = 100

// Request is what is asked.
type Request struct {
	// Key is the key in plain text, as the client sent it.
	Key string
	// Scopes are what the key must be allowed to do.
	Scopes Scopes
	// Workspace is the ID ("namespace/name") that the key's workspace must have; empty: any.
	Workspace string
	// ClientIP is where the client is. Where it is not known, a key that is bound to networks
	// is refused.
	ClientIP netip.Addr
}

// Scopes are conditions on a key's scopes; an empty list is none.
type Scopes struct {
	AllOf []string // each of them
	AnyOf []string // at least one of them
}

// validate finds what makes the question itself senseless. A malformed scope is no scope that
// a key merely lacks: the configuration of whoever asks is wrong, and he should hear it.
func (r *Request) validate() error {
	if err := validateScopes("allOf", r.Scopes.AllOf); err != nil {
		return err
	}
	return validateScopes("anyOf", r.Scopes.AnyOf)
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
