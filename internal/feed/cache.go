package feed

import (
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// kind is what the feed watches, and the name the API server has for it.
type kind struct {
	object   client.Object
	resource string
}

var (
	workspaces      = kind{&v1alpha1.Workspace{}, "workspaces"}
	serviceAccounts = kind{&v1alpha1.ServiceAccount{}, "serviceaccounts"}
	keyLimits       = kind{&v1alpha1.KeyLimit{}, "keylimits"}
	apiKeys         = kind{&v1alpha1.ApiKey{}, "apikeys"}
	secrets         = kind{&corev1.Secret{}, "secrets"}

	kinds = []kind{workspaces, serviceAccounts, keyLimits, apiKeys, secrets}
)

var scheme = func() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(v1alpha1.AddToScheme(s))
	utilruntime.Must(corev1.AddToScheme(s))
	return s
}()

// mapper knows the kinds without asking the API server, which may be away when the verifier
// starts.
var mapper = func() *meta.DefaultRESTMapper {
	m := meta.NewDefaultRESTMapper([]schema.GroupVersion{v1alpha1.GroupVersion, corev1.SchemeGroupVersion})
	for _, k := range kinds {
		gvk, err := apiutil.GVKForObject(k.object, scheme)
		utilruntime.Must(err)
		plural := gvk.GroupVersion().WithResource(k.resource)
		m.AddSpecific(gvk, plural, plural, meta.RESTScopeNamespace)
	}
	return m
}()

func cacheOptions(namespace string) cache.Options {
	byObject := map[client.Object]cache.ByObject{}
	for _, k := range kinds {
		byObject[k.object] = cache.ByObject{}
	}
	// Of all Secrets, only those the operator keeps hashes in.
	byObject[secrets.object] = cache.ByObject{Namespaces: map[string]cache.Config{namespace: {
		LabelSelector: labels.SelectorFromSet(labels.Set{v1alpha1.LabelSecret: v1alpha1.SecretHashed}),
		FieldSelector: fields.OneTermEqualSelector("type", v1alpha1.SecretTypeHash),
	}}}
	return cache.Options{
		Scheme:                      scheme,
		Mapper:                      mapper,
		ByObject:                    byObject,
		DefaultTransform:            slim,
		ReaderFailOnMissingInformer: true,
		SyncPeriod:                  ptr.To(time.Duration(0)),
	}
}

// slim drops what the index has no use for, most of an object's size. It may be called
// twice on one object, the second time when others read it already, and then writes nothing.
func slim(in any) (any, error) {
	object, ok := in.(client.Object)
	if !ok {
		return in, nil // a missed deletion
	}
	if object.GetManagedFields() != nil {
		object.SetManagedFields(nil)
	}
	if annotations := object.GetAnnotations(); annotations[corev1.LastAppliedConfigAnnotation] != "" {
		delete(annotations, corev1.LastAppliedConfigAnnotation)
	}
	switch o := object.(type) {
	case *v1alpha1.Workspace:
		empty(&o.Status)
	case *v1alpha1.ServiceAccount:
		empty(&o.Status)
	case *v1alpha1.KeyLimit:
		empty(&o.Status)
	case *v1alpha1.ApiKey:
		empty(&o.Status)
	}
	return object, nil
}

func empty[Status any](status *Status) {
	if v := reflect.ValueOf(status).Elem(); !v.IsZero() {
		v.SetZero()
	}
}
