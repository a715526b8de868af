package webhook

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/validation"
)

type keyLimits struct {
	deletable[*v1alpha1.KeyLimit]
}

func (keyLimits) ValidateCreate(_ context.Context, l *v1alpha1.KeyLimit) (admission.Warnings, error) {
	return nil, refuse("KeyLimit", l, validation.KeyLimit(l))
}

func (keyLimits) ValidateUpdate(_ context.Context, old, l *v1alpha1.KeyLimit) (admission.Warnings, error) {
	return nil, refuse("KeyLimit", l, validation.KeyLimitUpdate(old, l))
}
