package validation

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/scope"
)

// The bounds of grants. The CRDs' schemas state the same, but for the scopes of all
// grants together: each may be a wildcard, to be compared with a long catalogue.
const (
	maxGrants       = 64
	maxGrantScopes  = 32
	maxScopesGiven  = 512
	resourceExample = ": write one such as property/4711, or property/* for all that begin so"
)

func grantList(path *field.Path, grants []v1alpha1.Grant) field.ErrorList {
	errs := atMost(path, len(grants), maxGrants)
	seen := make(map[v1alpha1.Resource]bool, len(grants))
	for i, grant := range grants {
		at := path.Index(i)
		if seen[grant.Resource] {
			errs = append(errs, field.Duplicate(at.Child("resource"), string(grant.Resource)))
		}
		seen[grant.Resource] = true
		if err := scope.ValidateResource(string(grant.Resource)); err != nil {
			errs = append(errs, field.Invalid(at.Child("resource"), string(grant.Resource), err.Error()+resourceExample))
		}
		errs = append(errs, scopeList(at.Child("scopes"), grant.Scopes, maxGrantScopes)...)
	}
	return append(errs, atMost(path.Child("scopes"), given(grants), maxScopesGiven)...)
}

// given counts the scopes of all grants.
func given(grants []v1alpha1.Grant) (count int) {
	for _, grant := range grants {
		count += len(grant.Scopes)
	}
	return count
}

// checkGrants refuses the scopes that lie outside: of the catalogue, or of what the account
// may do to the grant's resource. For part of what a wildcard stands for, the account may have a
// narrower grant still; that one cuts without refusing.
func (b bounds) checkGrants(path *field.Path, grants []v1alpha1.Grant, account *v1alpha1.ServiceAccount) (errs field.ErrorList) {
	if given(grants) > maxScopesGiven {
		return nil // said already, and looking at them all is what must not be
	}
	ceilings := accountGrants(account)
	within := map[int]bounds{-1: b} // by the account's grant
	for i, grant := range grants {
		at := scope.Longest(ceilings, string(grant.Resource))
		if _, known := within[at]; !known {
			within[at] = b.under(account.Spec.Grants[at].Scopes,
				fmt.Sprintf("ServiceAccount %q may do to %s", account.Name, ceilings[at].Resource),
				fmt.Sprintf("spec.grants[%d].scopes", at))
		}
		errs = append(errs, within[at].check(path.Index(i).Child("scopes"), grant.Scopes)...)
	}
	return errs
}

func accountGrants(account *v1alpha1.ServiceAccount) (grants []scope.Grant) {
	if account == nil {
		return nil
	}
	for _, grant := range account.Spec.Grants {
		grants = append(grants, scope.Grant{Resource: string(grant.Resource)})
	}
	return grants
}

// The bounds of an entity. The CRD's schema states the same.
const (
	maxEntityKind = 63
	maxEntityID   = 128
)

func entity(path *field.Path, e *v1alpha1.Entity) field.ErrorList {
	if e == nil {
		return nil
	}
	errs := entityKind(path.Child("kind"), e.Kind)
	errs = append(errs, entityID(path.Child("id"), e.ID)...)
	if e.Department != "" {
		errs = append(errs, entityID(path.Child("department"), e.Department)...)
	}
	return errs
}

func entityKind(path *field.Path, kind string) field.ErrorList {
	if !isKind(kind) || len(kind) > maxEntityKind {
		return field.ErrorList{field.Invalid(path, kind, fmt.Sprintf(
			"must be a word of letters and digits that begins with a capital, such as Agent or Member, of at most %d characters", maxEntityKind))}
	}
	return nil
}

func isKind(s string) bool {
	return s != "" && 'A' <= s[0] && s[0] <= 'Z' && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9')
	})
}

// entityID lets pass what can be sent in a header.
func entityID(path *field.Path, id v1alpha1.EntityID) field.ErrorList {
	if id == "" || len(id) > maxEntityID || strings.ContainsFunc(string(id), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return field.ErrorList{field.Invalid(path, string(id), fmt.Sprintf(
			"must be 1 to %d visible ASCII characters without spaces", maxEntityID))}
	}
	return nil
}
