package webhook

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/fieldindex"
	"github.com/claviger-dev/claviger/internal/validation"
)

type apiKeys struct {
	reader
	asker
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
	creator, err := trulyCreatedBy(ctx, key)
	if err != nil {
		return nil, err
	}
	if err := refuse("ApiKey", key, append(creator, validation.ApiKey(key, refs, now)...)); err != nil {
		return nil, err
	}
	if err := v.entitled(ctx, nil, key, refs.Workspace); err != nil {
		return nil, err
	}
	warnings := append(missing(key, refs), endless(key, refs)...)
	warnings = append(warnings, v.missingLimits(ctx, key.Namespace, key.Spec.LimitRefs, "the key is issued once it does")...)
	return append(warnings, surprises(nil, key)...), nil
}

func (v apiKeys) ValidateUpdate(ctx context.Context, old, key *v1alpha1.ApiKey) (admission.Warnings, error) {
	creator := sameCreator(old, key)
	if key.Spec.State == v1alpha1.KeyRevoked {
		// Asks for no other object, so that nothing delays a revocation.
		return nil, refuse("ApiKey", key, append(creator, validation.ApiKeyUpdate(old, key, validation.References{}, v.now())...))
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
	if err := refuse("ApiKey", key, append(creator, validation.ApiKeyUpdate(old, key, refs, now)...)); err != nil {
		return nil, err
	}
	if err := v.entitled(ctx, old, key, refs.Workspace); err != nil {
		return nil, err
	}
	warnings := surprises(old, key)
	if len(endless(old, refs)) > 0 {
		return warnings, nil
	}
	return append(warnings, endless(key, refs)...), nil
}

// entitled refuses what the one who asks may not give: scopes beyond his own, where the workspace requires
// that, and personal tokens of others. Old is nil where the key is new.
func (v apiKeys) entitled(ctx context.Context, old, key *v1alpha1.ApiKey, workspace *v1alpha1.Workspace) error {
	var errs field.ErrorList
	if old == nil || validation.KeyChangesHands(old, key) {
		forbidden, err := v.mayActFor(ctx, key)
		if err != nil {
			return err
		}
		errs = forbidden
	}
	forbidden, err := v.mayGrant(ctx, key.Namespace, workspace, validation.GivenToKey(old, key))
	if err != nil {
		return err
	}
	return refuse("ApiKey", key, append(errs, forbidden...))
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
		refs.KeysInWorkspace, err = v.countOthers(ctx, key, fieldindex.ApiKeyWorkspace, w.Name,
			func(other *v1alpha1.ApiKey) bool { return validation.Counts(other, now) })
	}
	if a := refs.ServiceAccount; a != nil && err == nil {
		refs.KeysOfAccount, err = v.countOfAccount(ctx, key, a, now)
	}
	if isPersonal(key) && err == nil {
		refs.KeysOfUser, err = v.countOthers(ctx, key, fieldindex.ApiKeyUser, string(key.Spec.Entity.ID), func(other *v1alpha1.ApiKey) bool {
			return other.Spec.WorkspaceRef == key.Spec.WorkspaceRef && validation.Counts(other, now)
		})
	}
	return err
}

// countOfAccount keeps a place for the account's token, which is a key of the account's name and may be yet to
// come.
func (v apiKeys) countOfAccount(ctx context.Context, key *v1alpha1.ApiKey, account *v1alpha1.ServiceAccount, now time.Time) (int, error) {
	hasToken := key.Name == account.Name
	count, err := v.countOthers(ctx, key, fieldindex.ApiKeyServiceAccount, account.Name, func(other *v1alpha1.ApiKey) bool {
		counts := validation.Counts(other, now)
		hasToken = hasToken || counts && other.Name == account.Name
		return counts
	})
	if account.Spec.Token != nil && !hasToken {
		count++
	}
	return count, err
}
