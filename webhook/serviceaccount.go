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

type serviceAccounts struct {
	reader
	asker
	deletable[*v1alpha1.ServiceAccount]
	now func() time.Time
}

func (v serviceAccounts) ValidateCreate(ctx context.Context, a *v1alpha1.ServiceAccount) (admission.Warnings, error) {
	workspace, err := v.workspace(ctx, a.Namespace, a.Spec.WorkspaceRef.Name)
	if err != nil {
		return nil, err
	}
	if err := refuse("ServiceAccount", a, validation.ServiceAccount(a, workspace)); err != nil {
		return nil, err
	}
	if err := v.entitled(ctx, nil, a, workspace); err != nil {
		return nil, err
	}
	warnings := v.missingLimits(ctx, a.Namespace, a.Spec.LimitRefs, "it limits nothing until it does")
	if workspace == nil {
		warnings = append(warnings, fmt.Sprintf(
			"Workspace %q does not exist yet: no key is issued for the account until it does", a.Spec.WorkspaceRef.Name))
	}
	return warnings, nil
}

func (v serviceAccounts) ValidateUpdate(ctx context.Context, old, a *v1alpha1.ServiceAccount) (admission.Warnings, error) {
	workspace, err := v.workspace(ctx, a.Namespace, a.Spec.WorkspaceRef.Name)
	if err != nil {
		return nil, err
	}
	errs := validation.ServiceAccountUpdate(old, a, workspace)
	if old.Spec.Token == nil && a.Spec.Token != nil {
		others, err := v.countOthers(ctx, a, fieldindex.ApiKeyServiceAccount, a.Name,
			func(key *v1alpha1.ApiKey) bool { return validation.Counts(key, v.now()) })
		if err != nil {
			return nil, err
		}
		errs = append(errs, validation.NoRoomForToken(a, others)...)
	}
	if err := refuse("ServiceAccount", a, errs); err != nil {
		return nil, err
	}
	return nil, v.entitled(ctx, old, a, workspace)
}

// entitled refuses scopes that the one who asks may not give. Old is nil where the account is new.
func (v serviceAccounts) entitled(ctx context.Context, old, a *v1alpha1.ServiceAccount, workspace *v1alpha1.Workspace) error {
	errs, err := v.mayGrant(ctx, a.Namespace, workspace, validation.GivenToAccount(old, a))
	if err != nil {
		return err
	}
	return refuse("ServiceAccount", a, errs)
}
