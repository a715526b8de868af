package feed

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// slim drops what the index has no use for, most of an object's size.
func slim(object client.Object) {
	switch o := object.(type) {
	case *v1alpha1.Workspace:
		o.ObjectMeta, o.Status = identity(o), v1alpha1.WorkspaceStatus{}
	case *v1alpha1.ServiceAccount:
		o.ObjectMeta, o.Status = identity(o), v1alpha1.ServiceAccountStatus{}
	case *v1alpha1.KeyLimit:
		o.ObjectMeta, o.Status = identity(o), v1alpha1.KeyLimitStatus{}
	case *v1alpha1.ApiKey:
		o.ObjectMeta, o.Status = identity(o), v1alpha1.ApiKeyStatus{}
	case *corev1.Secret:
		labels, annotations := o.Labels, o.Annotations // they say whose it is
		o.ObjectMeta = identity(o)
		o.Labels, o.Annotations = labels, annotations
	}
}

func identity(o client.Object) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: o.GetNamespace(), Name: o.GetName(), UID: o.GetUID(), DeletionTimestamp: o.GetDeletionTimestamp(),
	}
}
