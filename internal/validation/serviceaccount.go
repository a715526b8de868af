package validation

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// What the CRD's schema states of a ServiceAccount, too.
const (
	// The most keys an account may be allowed.
	maxMaxActiveKeys = 1000
	// How long its token lives that sets nothing else.
	defaultTokenTTL = 8760 * time.Hour
)

// ServiceAccount checks an account. The workspace is the one it refers to; nil: not there (yet).
func ServiceAccount(account *v1alpha1.ServiceAccount, workspace *v1alpha1.Workspace) field.ErrorList {
	path, spec := field.NewPath("spec"), &account.Spec
	errs := reference(path.Child("workspaceRef"), spec.WorkspaceRef)
	errs = append(errs, displayName(path.Child("displayName"), spec.DisplayName)...)
	errs = append(errs, scopeList(path.Child("scopes"), spec.Scopes, maxScopes)...)
	errs = append(errs, grantList(path.Child("grants"), spec.Grants)...)
	within := newBounds(workspace, nil)
	errs = append(errs, within.check(path.Child("scopes"), spec.Scopes)...)
	errs = append(errs, within.checkGrants(path.Child("grants"), spec.Grants, nil)...)
	// Zero is what nobody set: one key.
	if spec.MaxActiveKeys < 0 || spec.MaxActiveKeys > maxMaxActiveKeys {
		errs = append(errs, field.Invalid(path.Child("maxActiveKeys"), spec.MaxActiveKeys,
			fmt.Sprintf("must be from 1 to %d", maxMaxActiveKeys)))
	}
	errs = append(errs, accountToken(path.Child("token"), spec.Token, workspace)...)
	return append(errs, limitRefs(path.Child("limitRefs"), spec.LimitRefs)...)
}

func accountToken(path *field.Path, token *v1alpha1.AccountToken, workspace *v1alpha1.Workspace) field.ErrorList {
	if token == nil {
		return nil
	}
	errs := ttl(path.Child("ttl"), token.TTL)
	errs = append(errs, oneOf(path.Child("environment"), token.Environment,
		v1alpha1.EnvironmentLive, v1alpha1.EnvironmentTest)...)
	errs = append(errs, delivery(path.Child("delivery"), &token.Delivery)...)
	if workspace == nil {
		return errs
	}
	if longest := workspace.Spec.Keys.MaxTTL; longest != nil && tokenTTL(token) > longest.Duration {
		errs = append(errs, field.Invalid(path.Child("ttl"), readable(tokenTTL(token)), fmt.Sprintf(
			"Workspace %q lets a key live for at most %s: set a shorter ttl", workspace.Name, readable(longest.Duration))))
	}
	return append(errs, allowed(path.Child("delivery", "type"), v1alpha1.AllowedDelivery(deliveryType(&token.Delivery)), workspace)...)
}

// tokenTTL is a year where nothing, not even the API server, has set it.
func tokenTTL(token *v1alpha1.AccountToken) time.Duration {
	if token.TTL == nil {
		return defaultTokenTTL
	}
	return token.TTL.Duration
}

func tokenTransition(path *field.Path, old, token *v1alpha1.AccountToken) (errs field.ErrorList) {
	if old == nil || token == nil {
		return nil // one that goes takes its key along, and one that comes is another
	}
	const remedy = "create another ServiceAccount"
	before, after := tokenEnvironment(old), tokenEnvironment(token)
	if before != after {
		errs = append(errs, field.Invalid(path.Child("environment"), string(after), "cannot be changed, it is part of the token: "+remedy))
	}
	return append(errs, deliveryTransition(path.Child("delivery"), &old.Delivery, &token.Delivery, remedy)...)
}

func tokenEnvironment(token *v1alpha1.AccountToken) v1alpha1.Environment {
	if token.Environment == "" {
		return v1alpha1.EnvironmentLive
	}
	return token.Environment
}

// ServiceAccountUpdate checks a change. Errors that the old account had already are not raised again.
// Narrowing the ceiling is never refused for the sake of keys that exist.
func ServiceAccountUpdate(old, account *v1alpha1.ServiceAccount, workspace *v1alpha1.Workspace) field.ErrorList {
	var errs field.ErrorList
	if old.Spec.WorkspaceRef != account.Spec.WorkspaceRef {
		errs = append(errs, field.Invalid(field.NewPath("spec", "workspaceRef", "name"), account.Spec.WorkspaceRef.Name,
			"cannot be changed: create another ServiceAccount"))
	}
	errs = append(errs, tokenTransition(field.NewPath("spec", "token"), old.Spec.Token, account.Spec.Token)...)
	return append(errs, unseen(ServiceAccount(account, workspace), ServiceAccount(old, workspace))...)
}
