package webhook

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/validation"
)

type serviceAccounts struct {
	reader
	deletable[*v1alpha1.ServiceAccount]
}

func (v serviceAccounts) ValidateCreate(ctx context.Context, a *v1alpha1.ServiceAccount) (admission.Warnings, error) {
	workspace, err := v.workspace(ctx, a.Namespace, a.Spec.WorkspaceRef.Name)
	if err != nil {
		return nil, err
	}
	if err := refuse("ServiceAccount", a, validation.ServiceAccount(a, workspace)); err != nil {
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
	return nil, refuse("ServiceAccount", a, validation.ServiceAccountUpdate(old, a, workspace))
}
