package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers/apikey"
)

// sweepPeriod is how often every hash is looked at again, in case that the deletion of its ApiKey
// was missed. It costs no request unless there is one to delete.
const sweepPeriod = time.Hour

// ourSecrets are those in the namespaces of ApiKeys.
var ourSecrets = func() labels.Selector {
	requirement, err := labels.NewRequirement(v1alpha1.LabelSecret, selection.In, []string{v1alpha1.SecretDelivered, v1alpha1.SecretStaged})
	if err != nil {
		panic(err)
	}
	return labels.NewSelector().Add(*requirement)
}()

// CacheOptions are those of the manager's cache. Of Secrets it holds the delivered and the staged ones
// alone, and of these no content.
func CacheOptions() cache.Options {
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}: {
				Label:     ourSecrets,
				Transform: dropContent,
			},
		},
	}
}

// ClientOptions are those of the manager's client: it reads Secrets from the API server, never from
// the cache, where they have no content.
func ClientOptions() client.Options {
	return client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}}
}

// dropContent keeps plain-text keys out of the cache, whatever watches Secrets. kubectl copies
// what it applies into an annotation.
func dropContent(object any) (any, error) {
	if secret, ok := object.(*corev1.Secret); ok {
		secret.Data, secret.StringData = nil, nil
	}
	if meta, ok := object.(metav1.ObjectMetaAccessor); ok {
		delete(meta.GetObjectMeta().GetAnnotations(), corev1.LastAppliedConfigAnnotation)
	}
	return cache.TransformStripManagedFields()(object)
}

// hashedCache holds the hashed Secrets. It cannot be the manager's: that one may hold either
// the hashed Secrets with their content or the delivered ones without.
type hashedCache struct{ cache.Cache }

// GetCache tells the manager to start and sync it with its own caches.
func (c hashedCache) GetCache() cache.Cache { return c.Cache }

func addHashedCache(ctx context.Context, mgr ctrl.Manager, namespace string) (cache.Cache, error) {
	if namespace == "" {
		return nil, fmt.Errorf("the namespace for hashed Secrets is not set: set it to the operator's own")
	}
	hashed, err := cache.New(mgr.GetConfig(), cache.Options{
		HTTPClient:        mgr.GetHTTPClient(),
		Scheme:            mgr.GetScheme(),
		Mapper:            mgr.GetRESTMapper(),
		DefaultNamespaces: map[string]cache.Config{namespace: {}},
		DefaultTransform:  cache.TransformStripManagedFields(),
		SyncPeriod:        ptr.To(sweepPeriod),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}: {Label: labels.SelectorFromSet(labels.Set{v1alpha1.LabelSecret: v1alpha1.SecretHashed})},
		},
	})
	if err != nil {
		return nil, err
	}
	for field, extract := range map[string]client.IndexerFunc{apikey.HashedByApiKey: apikey.IndexHashed, apikey.HashedByHash: apikey.IndexHash} {
		if err := hashed.IndexField(ctx, &corev1.Secret{}, field, extract); err != nil {
			return nil, err
		}
	}
	return hashed, mgr.Add(hashedCache{hashed})
}
