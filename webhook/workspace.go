package webhook

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/fieldindex"
	"github.com/claviger-dev/claviger/internal/validation"
)

type workspaces struct {
	reader
	asker
}

func (v workspaces) ValidateCreate(ctx context.Context, w *v1alpha1.Workspace) (admission.Warnings, error) {
	if err := refuse("Workspace", w, validation.Workspace(w)); err != nil {
		return nil, err
	}
	warnings := v.missingLimits(ctx, w.Namespace, w.AllLimitRefs(), "it limits nothing until it does")
	return append(append(warnings, forgetful(nil, w)...), v.givenBefore(ctx, nil, w)...), nil
}

func (v workspaces) ValidateUpdate(ctx context.Context, old, w *v1alpha1.Workspace) (admission.Warnings, error) {
	if err := refuse("Workspace", w, validation.WorkspaceUpdate(old, w)); err != nil {
		return nil, err
	}
	// The workspace as it was says whether to ask: else it would be enough to say no longer.
	errs, err := v.mayGrant(ctx, w.Namespace, old, validation.GivenByWorkspace(old, w))
	if err != nil {
		return nil, err
	}
	if err := refuse("Workspace", w, errs); err != nil {
		return nil, err
	}
	return append(forgetful(old, w), v.givenBefore(ctx, old, w)...), nil
}

// givenBefore warns where delegation is turned on over keys that nobody was asked about. Old is nil where the
// workspace is new.
func (v workspaces) givenBefore(ctx context.Context, old, w *v1alpha1.Workspace) admission.Warnings {
	const required = v1alpha1.DelegationRequired
	if w.Spec.Keys.Delegation != required || old != nil && old.Spec.Keys.Delegation == required {
		return nil
	}
	n, err := v.keysOf(ctx, w)
	if err != nil || n == 0 {
		return nil // a warning is not worth refusing anything for
	}
	return admission.Warnings{fmt.Sprintf("delegation is asked about from now on; %s that are there keep the scopes they have: look them through", apiKeysOf(n, w))}
}

// ValidateDelete keeps a workspace for as long as it has keys, unless it says otherwise or its whole namespace
// goes. Who cannot be asked is no reason to: deleting never waits for Claviger (docs/decisions/0003).
func (v workspaces) ValidateDelete(ctx context.Context, w *v1alpha1.Workspace) (admission.Warnings, error) {
	if w.Spec.DeletionPolicy == v1alpha1.WorkspaceCascade {
		return nil, nil
	}
	n, err := v.keysOf(ctx, w)
	if err != nil {
		return admission.Warnings{"it could not be seen whether the workspace has keys, so it was deleted without"}, nil
	}
	if n == 0 {
		return nil, nil
	}
	going, err := v.namespaceGoes(ctx, w.Namespace)
	if err != nil {
		return admission.Warnings{"it could not be seen whether the namespace is being deleted, so the workspace was, for all its keys"}, nil
	}
	if going {
		return nil, nil
	}
	return nil, apierrors.NewForbidden(v1alpha1.GroupVersion.WithResource("workspaces").GroupResource(), w.Name, fmt.Errorf(
		"%s would become invalid: delete them first, or set spec.deletionPolicy to Cascade to have them deleted along. To stop them all, set spec.suspended",
		apiKeysOf(n, w)))
}

func (v workspaces) keysOf(ctx context.Context, w *v1alpha1.Workspace) (int, error) {
	var list v1alpha1.ApiKeyList
	err := v.cached.List(ctx, &list, client.InNamespace(w.Namespace),
		client.MatchingFields{fieldindex.ApiKeyWorkspace: w.Name}, client.UnsafeDisableDeepCopy)
	return len(list.Items), err
}

// namespaceGoes asks the API server: a cache of namespaces would hold all of them for a question that is rare.
func (v workspaces) namespaceGoes(ctx context.Context, name string) (bool, error) {
	namespace := &corev1.Namespace{}
	err := v.live.Get(ctx, client.ObjectKey{Name: name}, namespace)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	return !namespace.DeletionTimestamp.IsZero(), err
}

func apiKeysOf(n int, w *v1alpha1.Workspace) string {
	if n == 1 {
		return fmt.Sprintf("1 ApiKey of Workspace %q", w.Name)
	}
	return fmt.Sprintf("%d ApiKeys of Workspace %q", n, w.Name)
}
