package webhook

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/fieldindex"
	"github.com/claviger-dev/claviger/internal/validation"
)

type apiKeys struct {
	reader
	deletable[*v1alpha1.ApiKey]
	now func() time.Time
}

func (v apiKeys) ValidateCreate(ctx context.Context, key *v1alpha1.ApiKey) (admission.Warnings, error) {
	now := v.now()
	refs, err := v.references(ctx, key)
	if err != nil {
		return nil, err
	}
	if err := v.count(ctx, key, &refs, now); err != nil {
		return nil, err
	}
	if err := refuse("ApiKey", key, validation.ApiKey(key, refs, now)); err != nil {
		return nil, err
	}
	warnings := append(missing(key, refs), endless(key, refs)...)
	return append(warnings, v.missingLimits(ctx, key.Namespace, key.Spec.LimitRefs, "the key is issued once it does")...), nil
}

func (v apiKeys) ValidateUpdate(ctx context.Context, old, key *v1alpha1.ApiKey) (admission.Warnings, error) {
	if key.Spec.State == v1alpha1.KeyRevoked {
		// Asks for no other object, so that nothing delays a revocation.
		return nil, refuse("ApiKey", key, validation.ApiKeyUpdate(old, key, validation.References{}, v.now()))
	}
	now := v.now()
	refs, err := v.references(ctx, key)
	if err != nil {
		return nil, err
	}
	if !validation.Counts(old, now) {
		if err := v.count(ctx, key, &refs, now); err != nil {
			return nil, err
		}
	}
	if err := refuse("ApiKey", key, validation.ApiKeyUpdate(old, key, refs, now)); err != nil {
		return nil, err
	}
	if len(endless(old, refs)) > 0 {
		return nil, nil
	}
	return endless(key, refs), nil
}

func (v apiKeys) references(ctx context.Context, key *v1alpha1.ApiKey) (refs validation.References, err error) {
	if refs.Workspace, err = v.workspace(ctx, key.Namespace, key.Spec.WorkspaceRef.Name); err != nil {
		return refs, err
	}
	if ref := key.Spec.ServiceAccountRef; ref != nil {
		if refs.ServiceAccount, err = v.serviceAccount(ctx, key.Namespace, ref.Name); err != nil {
			return refs, err
		}
	}
	if key.Status.IssuedAt != nil {
		refs.IssuedAt = key.Status.IssuedAt.Time
	}
	return refs, nil
}

// count asks for the numbers of other keys where there is a maximum.
func (v apiKeys) count(ctx context.Context, key *v1alpha1.ApiKey, refs *validation.References, now time.Time) (err error) {
	if w := refs.Workspace; w != nil && w.Spec.Keys.MaxKeys != nil {
		refs.KeysInWorkspace, err = v.countOthers(ctx, key, fieldindex.ApiKeyWorkspace, w.Name, now)
	}
	if a := refs.ServiceAccount; a != nil && err == nil {
		refs.KeysOfAccount, err = v.countOthers(ctx, key, fieldindex.ApiKeyServiceAccount, a.Name, now)
	}
	return err
}

func missing(key *v1alpha1.ApiKey, refs validation.References) (warnings admission.Warnings) {
	if refs.Workspace == nil {
		warnings = append(warnings, fmt.Sprintf(
			"Workspace %q does not exist yet: the key is issued once it does", key.Spec.WorkspaceRef.Name))
	}
	if ref := key.Spec.ServiceAccountRef; ref != nil && refs.ServiceAccount == nil {
		warnings = append(warnings, fmt.Sprintf(
			"ServiceAccount %q (of keys.claviger.dev) does not exist yet: the key is issued once it does", ref.Name))
	}
	return warnings
}

func endless(key *v1alpha1.ApiKey, refs validation.References) admission.Warnings {
	if refs.Workspace == nil || key.Spec.State == v1alpha1.KeyRevoked ||
		validation.ApprovedEnd(key, refs.Workspace, refs.IssuedAt) != nil {
		return nil
	}
	return admission.Warnings{"the key never expires: set ttl or expiresAt, or a defaultTTL in its Workspace"}
}
