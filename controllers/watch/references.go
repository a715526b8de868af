package watch

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// MissingLimit is the name of the first of the KeyLimits that does not exist; empty: all do.
func MissingLimit(ctx context.Context, reader client.Reader, namespace string, refs []v1alpha1.LocalReference) (string, error) {
	for _, ref := range refs {
		at := client.ObjectKey{Namespace: namespace, Name: ref.Name}
		err := reader.Get(ctx, at, &v1alpha1.KeyLimit{}, client.UnsafeDisableDeepCopy) // only looked at
		if apierrors.IsNotFound(err) {
			return ref.Name, nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", nil
}

// Requests are for the objects that an index finds in a namespace.
func Requests(ctx context.Context, reader client.Reader, list client.ObjectList, namespace, index, value string) []reconcile.Request {
	err := reader.List(ctx, list, client.InNamespace(namespace), client.MatchingFields{index: value}, client.UnsafeDisableDeepCopy)
	if err != nil {
		log.FromContext(ctx).Error(err, "Cannot find what to look at again; the next resynchronisation will", "index", index)
		return nil
	}
	var requests []reconcile.Request
	_ = meta.EachListItem(list, func(item runtime.Object) error { // which fails for no list of ours
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(item.(client.Object))})
		return nil
	})
	return requests
}
