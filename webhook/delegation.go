package webhook

import (
	"context"
	"fmt"
	"slices"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/validation"
)

const ownerRole = "claviger-workspace-owner"

// mayGrant refuses what is given by somebody who may not grant it. A workspace that requires no delegation, or is
// not there, asks for nothing.
func (a asker) mayGrant(ctx context.Context, namespace string, workspace *v1alpha1.Workspace, given []validation.Given) (field.ErrorList, error) {
	if workspace == nil || workspace.Spec.Keys.Delegation != v1alpha1.DelegationRequired || len(given) == 0 {
		return nil, nil
	}
	request, err := admission.RequestFromContext(ctx)
	if err != nil {
		return nil, err
	}
	grant := authorizationv1.ResourceAttributes{
		Verb: "grant", Group: v1alpha1.GroupVersion.Group, Version: v1alpha1.GroupVersion.Version, Resource: "scopes", Namespace: namespace,
	}
	// Most who may grant anything may grant everything, and then one question is enough.
	if everything, err := a.may(ctx, request, grant); everything || err != nil {
		return nil, err
	}
	allowed, err := a.mayAll(ctx, request, grant, distinct(given))
	if err != nil {
		return nil, err
	}
	var errs field.ErrorList
	for _, g := range given {
		if g.Scope == "" || !allowed[g.Scope] {
			errs = append(errs, field.Forbidden(g.Path, notYours(request.UserInfo.Username, workspace.Name, g.Scope)))
		}
	}
	return errs, nil
}

func distinct(given []validation.Given) (scopes []string) {
	for _, g := range given {
		if g.Scope != "" {
			scopes = append(scopes, g.Scope)
		}
	}
	slices.Sort(scopes)
	return slices.Compact(scopes)
}

func notYours(user, workspace, scope string) string {
	what := fmt.Sprintf("the scope %q", scope)
	if scope == "" {
		what = "every scope, which this amounts to"
	}
	return fmt.Sprintf("Workspace %q lets people give only what they may grant, and %q may not grant %s: ask for less, or ask somebody "+
		"who has the verb grant on scopes.%s in this namespace, as the role %s has", workspace, user, what, v1alpha1.GroupVersion.Group, ownerRole)
}
