package webhook

import (
	"context"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

func isPersonal(key *v1alpha1.ApiKey) bool {
	return key.Spec.Entity != nil && key.Spec.Entity.Kind == v1alpha1.EntityUser
}

// mayActFor refuses a personal token for another user than the one who asks, unless Kubernetes lets him act as
// that user anyway.
func (a asker) mayActFor(ctx context.Context, key *v1alpha1.ApiKey) (field.ErrorList, error) {
	if !isPersonal(key) {
		return nil, nil
	}
	request, err := admission.RequestFromContext(ctx)
	if err != nil {
		return nil, err
	}
	user, owner := request.UserInfo.Username, string(key.Spec.Entity.ID)
	if user == owner {
		return nil, nil
	}
	yes, err := a.may(ctx, request, authorizationv1.ResourceAttributes{Verb: "impersonate", Resource: "users", Version: "v1", Name: owner})
	if yes || err != nil {
		return nil, err
	}
	return field.ErrorList{field.Forbidden(field.NewPath("spec", "entity", "id"), fmt.Sprintf(
		"a personal token is made by its user, and you are %q: set your own name, or another kind of entity, or get the right to impersonate %q",
		user, owner))}, nil
}
