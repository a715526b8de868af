package validation

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// The most keys a ServiceAccount may be allowed. The CRD's schema states the same.
const maxMaxActiveKeys = 1000

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
	return append(errs, limitRefs(path.Child("limitRefs"), spec.LimitRefs)...)
}

// ServiceAccountUpdate checks a change. Errors that the old account had already are not raised again.
// Narrowing the ceiling is never refused for the sake of keys that exist.
func ServiceAccountUpdate(old, account *v1alpha1.ServiceAccount, workspace *v1alpha1.Workspace) field.ErrorList {
	var errs field.ErrorList
	if old.Spec.WorkspaceRef != account.Spec.WorkspaceRef {
		errs = append(errs, field.Invalid(field.NewPath("spec", "workspaceRef", "name"), account.Spec.WorkspaceRef.Name,
			"cannot be changed: create another ServiceAccount"))
	}
	return append(errs, unseen(ServiceAccount(account, workspace), ServiceAccount(old, workspace))...)
}
