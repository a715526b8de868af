package apikey

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers/watch"
)

// references is what an ApiKey names.
type references struct {
	workspace *v1alpha1.Workspace      // nil: not there
	account   *v1alpha1.ServiceAccount // nil: not there, or none named
	// missing is what is not there; nil: all is.
	missing *problem
}

// findReferences reads what the key names. What is missing will come, and its coming
// is watched for.
func (r *Reconciler) findReferences(ctx context.Context, s *scope) error {
	workspace, account := &v1alpha1.Workspace{}, &v1alpha1.ServiceAccount{}
	spec := &s.key.Spec
	s.references = references{}
	if found, err := r.find(ctx, s, spec.WorkspaceRef, workspace); err != nil {
		return err
	} else if found {
		s.references.workspace = workspace
	} else {
		s.references.missing = missing(v1alpha1.ReasonWorkspaceNotFound, "Workspace", spec.WorkspaceRef)
	}
	if spec.ServiceAccountRef != nil {
		if found, err := r.find(ctx, s, *spec.ServiceAccountRef, account); err != nil {
			return err
		} else if found {
			s.references.account = account
		} else if s.references.missing == nil {
			s.references.missing = missing(v1alpha1.ReasonServiceAccountNotFound, "ServiceAccount", *spec.ServiceAccountRef)
		}
	}
	limit, err := watch.MissingLimit(ctx, r.Cached, s.name.Namespace, spec.LimitRefs)
	if limit != "" && s.references.missing == nil {
		s.references.missing = missing(v1alpha1.ReasonKeyLimitNotFound, "KeyLimit", v1alpha1.LocalReference{Name: limit})
	}
	return err
}

// find reads without copying: what is referred to is only looked at.
func (r *Reconciler) find(ctx context.Context, s *scope, ref v1alpha1.LocalReference, object client.Object) (bool, error) {
	at := client.ObjectKey{Namespace: s.name.Namespace, Name: ref.Name}
	err := r.Cached.Get(ctx, at, object, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

func missing(reason, kind string, ref v1alpha1.LocalReference) *problem {
	return &problem{reason: reason, message: fmt.Sprintf("%s %q does not exist in this namespace: create it, or correct the name", kind, ref.Name)}
}
