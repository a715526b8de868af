package webhook

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/validation"
)

type workspaces struct {
	reader
	deletable[*v1alpha1.Workspace]
}

func (v workspaces) ValidateCreate(ctx context.Context, w *v1alpha1.Workspace) (admission.Warnings, error) {
	if err := refuse("Workspace", w, validation.Workspace(w)); err != nil {
		return nil, err
	}
	return v.missingLimits(ctx, w.Namespace, w.AllLimitRefs(), "it limits nothing until it does"), nil
}

func (workspaces) ValidateUpdate(_ context.Context, old, w *v1alpha1.Workspace) (admission.Warnings, error) {
	return nil, refuse("Workspace", w, validation.WorkspaceUpdate(old, w))
}
