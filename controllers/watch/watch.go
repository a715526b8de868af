// Package watch holds what the controllers' watches have in common.
package watch

import (
	"context"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Settle is how long objects that sum up many others wait before they are counted anew, so that
// ten thousand changes make a few counts and not ten thousand.
const Settle = time.Second

// SpecChanged lets pass whatever is created, deleted or resynchronised, and updates of the
// spec. What was deleted and made again while nobody looked shows as an update, too.
func SpecChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return IsResync(e) || SpecDiffers(e.ObjectOld, e.ObjectNew)
	}}
}

// Existence lets pass what is created or deleted.
func Existence() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetUID() != e.ObjectNew.GetUID()
	}}
}

// IsResync says that nothing has changed: the cache only shows what it has, from time to time.
func IsResync(e event.UpdateEvent) bool {
	return e.ObjectOld.GetResourceVersion() == e.ObjectNew.GetResourceVersion()
}

// SpecDiffers says whether the spec changed, or the object was marked as deleted.
func SpecDiffers(old, object client.Object) bool {
	return old.GetGeneration() != object.GetGeneration() || old.GetUID() != object.GetUID() ||
		old.GetDeletionTimestamp().IsZero() != object.GetDeletionTimestamp().IsZero()
}

// Coalesced is a handler for objects that sum up others: requests wait for Settle, and meanwhile
// further ones for the same object are one with them.
func Coalesced(requests handler.MapFunc) handler.EventHandler {
	return After(Settle, requests)
}

// After is a handler that adds the requests with a delay.
func After(delay time.Duration, requests handler.MapFunc) handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	add := func(ctx context.Context, q queue, objects ...client.Object) {
		for _, object := range objects {
			for _, request := range requests(ctx, object) {
				q.AddAfter(request, delay)
			}
		}
	}
	return handler.Funcs{
		CreateFunc:  func(ctx context.Context, e event.CreateEvent, q queue) { add(ctx, q, e.Object) },
		DeleteFunc:  func(ctx context.Context, e event.DeleteEvent, q queue) { add(ctx, q, e.Object) },
		GenericFunc: func(ctx context.Context, e event.GenericEvent, q queue) { add(ctx, q, e.Object) },
		// The old one too: it may have belonged to something else.
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) { add(ctx, q, e.ObjectOld, e.ObjectNew) },
	}
}
