package feed

import (
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// slim drops what the index has no use for, most of an object's size.
func slim(object client.Object) {
	object.SetManagedFields(nil)
	delete(object.GetAnnotations(), corev1.LastAppliedConfigAnnotation)
	switch o := object.(type) {
	case *v1alpha1.Workspace:
		o.Status = v1alpha1.WorkspaceStatus{}
	case *v1alpha1.ServiceAccount:
		o.Status = v1alpha1.ServiceAccountStatus{}
	case *v1alpha1.KeyLimit:
		o.Status = v1alpha1.KeyLimitStatus{}
	case *v1alpha1.ApiKey:
		o.Status = v1alpha1.ApiKeyStatus{}
	}
}
