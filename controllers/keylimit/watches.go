package keylimit

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers/watch"
)

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("keylimit").
		For(&v1alpha1.KeyLimit{}, builder.WithPredicates(watch.SpecChanged())).
		Watches(&v1alpha1.ApiKey{}, watch.Coalesced(r.ofKey), builder.WithPredicates(attachmentChanged())).
		Watches(&v1alpha1.ServiceAccount{}, watch.Coalesced(ofReferrer), builder.WithPredicates(attachmentChanged())).
		Watches(&v1alpha1.Workspace{}, watch.Coalesced(ofReferrer), builder.WithPredicates(attachmentChanged())).
		Complete(r)
}

// attachmentChanged lets pass what is created or deleted, and what names other limits than before.
func attachmentChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetUID() != e.ObjectNew.GetUID() || !equality.Semantic.DeepEqual(attachment(e.ObjectOld), attachment(e.ObjectNew))
	}}
}

func limitRefs(object client.Object) []v1alpha1.LocalReference {
	switch o := object.(type) {
	case *v1alpha1.ApiKey:
		return o.Spec.LimitRefs
	case *v1alpha1.ServiceAccount:
		return o.Spec.LimitRefs
	case *v1alpha1.Workspace:
		return o.AllLimitRefs()
	}
	return nil
}

// attachment is all of an object that decides which limits hold for which keys.
func attachment(object client.Object) any {
	switch o := object.(type) {
	case *v1alpha1.ApiKey:
		return []any{o.Spec.LimitRefs, o.Spec.Entity}
	case *v1alpha1.Workspace:
		return []any{o.Spec.LimitRefs, o.Spec.Departments, o.Spec.Entities}
	}
	return limitRefs(object)
}

func ofReferrer(_ context.Context, object client.Object) []reconcile.Request {
	return requests(nil, object)
}

// ofKey finds the limits of a key: its own, its account's and its workspace's.
func (r *Reconciler) ofKey(ctx context.Context, object client.Object) []reconcile.Request {
	key := object.(*v1alpha1.ApiKey)
	found := requests(nil, key)
	account, workspace := &v1alpha1.ServiceAccount{}, &v1alpha1.Workspace{}
	if ref := key.Spec.ServiceAccountRef; ref != nil && r.get(ctx, key.Namespace, ref.Name, account) {
		found = requests(found, account)
	}
	if r.get(ctx, key.Namespace, key.Spec.WorkspaceRef.Name, workspace) {
		found = requests(found, workspace)
	}
	return found
}

// get says whether there is such an object. Where a cache cannot tell, the object's own event will.
func (r *Reconciler) get(ctx context.Context, namespace, name string, object client.Object) bool {
	return r.Cached.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object, client.UnsafeDisableDeepCopy) == nil
}

func requests(list []reconcile.Request, referrer client.Object) []reconcile.Request {
	for _, ref := range limitRefs(referrer) {
		list = append(list, reconcile.Request{NamespacedName: client.ObjectKey{Namespace: referrer.GetNamespace(), Name: ref.Name}})
	}
	return list
}
