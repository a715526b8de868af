package apikey

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	crcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers/watch"
	"github.com/claviger-dev/claviger/internal/fieldindex"
)

// indexWaiting is the index of ApiKeys that wait for a place, by their workspace's name.
const indexWaiting = "claviger.waitingForPlace"

// How long to back off from failures. The longest is how late keys are after the API server
// was away.
const (
	firstRetry   = 50 * time.Millisecond
	longestRetry = 30 * time.Second
)

// SetupWithManager registers the controller. Hashed Secrets are watched through a cache of
// their own.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, hashed crcache.Cache, concurrency int) error {
	if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.ApiKey{}, indexWaiting, waitingFor); err != nil {
		return err
	}
	enqueue := func(index string) handler.EventHandler {
		return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, object client.Object) []reconcile.Request {
			return watch.Requests(ctx, r.Cached, &v1alpha1.ApiKeyList{}, object.GetNamespace(), index, object.GetName())
		})
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("apikey").
		For(&v1alpha1.ApiKey{}, builder.WithPredicates(changed())).
		Watches(&v1alpha1.ApiKey{}, r.placeGotFree()).
		Watches(&v1alpha1.Workspace{}, enqueue(fieldindex.ApiKeyWorkspace), builder.WithPredicates(watch.SpecChanged())).
		Watches(&v1alpha1.ServiceAccount{}, enqueue(fieldindex.ApiKeyServiceAccount), builder.WithPredicates(watch.SpecChanged())).
		Watches(&v1alpha1.KeyLimit{}, enqueue(fieldindex.ApiKeyLimit), builder.WithPredicates(watch.Existence())).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.ofSecret)).
		WatchesRawSource(source.Kind(hashed, &corev1.Secret{}, handler.TypedEnqueueRequestsFromMapFunc(ofHashed))).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: concurrency,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, longestRetry),
		}).
		Complete(r)
}

// ofSecret maps a delivered or a staged Secret to the ApiKeys that it concerns.
func (r *Reconciler) ofSecret(ctx context.Context, secret client.Object) []reconcile.Request {
	if secret.GetLabels()[v1alpha1.LabelSecret] == v1alpha1.SecretStaged {
		return watch.Requests(ctx, r.Cached, &v1alpha1.ApiKeyList{}, secret.GetNamespace(), fieldindex.ApiKeyUID, secret.GetLabels()[v1alpha1.LabelApiKeyUID])
	}
	return watch.Requests(ctx, r.Cached, &v1alpha1.ApiKeyList{}, secret.GetNamespace(), fieldindex.ApiKeySecret, secret.GetName())
}

// changed lets pass changes of the spec, of what annotations ask for, of what usage has to say about a key that
// was replaced or is unused, and of the rest of the status, so that one that somebody emptied is written
// again.
func changed() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		if watch.IsResync(e) || watch.SpecDiffers(e.ObjectOld, e.ObjectNew) {
			return true
		}
		if asksElse(e.ObjectOld, e.ObjectNew) {
			return true
		}
		old, object := e.ObjectOld.(*v1alpha1.ApiKey).Status, e.ObjectNew.(*v1alpha1.ApiKey).Status
		if usageMatters(&old, &object) {
			return true
		}
		old.Usage, object.Usage = nil, nil
		return !equality.Semantic.DeepEqual(old, object)
	}}
}

func asksElse(old, object client.Object) bool {
	for _, name := range []string{v1alpha1.AnnotationRegenerate, v1alpha1.AnnotationRevocationReason} {
		if old.GetAnnotations()[name] != object.GetAnnotations()[name] {
			return true
		}
	}
	return false
}

// usageMatters says that something besides usage itself follows from what was used.
func usageMatters(old, status *v1alpha1.ApiKeyStatus) bool {
	was, is := old.Usage, status.Usage
	if was == nil {
		was = &v1alpha1.KeyUsage{}
	}
	if is == nil {
		is = &v1alpha1.KeyUsage{}
	}
	return !was.PreviousLastUsedAt.Equal(is.PreviousLastUsedAt) ||
		meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionUnused) != nil && !was.LastUsedAt.Equal(is.LastUsedAt)
}

// ofHashed maps a hashed Secret to its ApiKey, whether that exists or not.
func ofHashed(_ context.Context, secret *corev1.Secret) []reconcile.Request {
	namespace, name, err := cache.SplitMetaNamespaceKey(secret.Annotations[v1alpha1.AnnotationApiKey])
	if err != nil || namespace == "" || name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}}
}

// placeGotFree enqueues the keys that wait for a place where another stopped to count.
func (r *Reconciler) placeGotFree() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	enqueue := func(ctx context.Context, q queue, object client.Object) {
		workspace := object.(*v1alpha1.ApiKey).Spec.WorkspaceRef.Name
		for _, request := range watch.Requests(ctx, r.Cached, &v1alpha1.ApiKeyList{}, object.GetNamespace(), indexWaiting, workspace) {
			q.AddAfter(request, watch.Settle)
		}
	}
	return handler.Funcs{
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { enqueue(ctx, q, e.Object) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			if !stopped(e.ObjectOld) && stopped(e.ObjectNew) {
				enqueue(ctx, q, e.ObjectNew)
			}
		},
	}
}

func stopped(object client.Object) bool {
	key := object.(*v1alpha1.ApiKey)
	return key.Spec.State == v1alpha1.KeyRevoked || key.Status.State == v1alpha1.ReasonExpired
}

func waitingFor(object client.Object) []string {
	key := object.(*v1alpha1.ApiKey)
	ready := meta.FindStatusCondition(key.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Reason != v1alpha1.ReasonTooManyKeys {
		return nil
	}
	return []string{key.Spec.WorkspaceRef.Name}
}
