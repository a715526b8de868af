package feed

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/keyindex"
)

// resource is what the API server has of one kind, and what of it is watched.
type resource struct {
	name  string
	group schema.GroupVersion
	list  func() runtime.Object
	// namespace: only there; empty: everywhere.
	namespace     string
	labelSelector labels.Selector
	fieldSelector fields.Selector
}

// resources are the names of what is watched.
var resources = []string{"workspaces", "serviceaccounts", "keylimits", "apikeys", "secrets"}

// kind is where the objects of one kind go in the index, which tells them apart by ID.
type kind[Object client.Object, ID comparable] struct {
	resource
	empty  func() Object
	id     func(Object) (ID, error)
	set    func(Object) error
	remove func(ID)
	retain func(keep func(ID) bool)
	count  func() int

	// What is done while all else is held back: takesAway says whether an object, as it is, grants nothing,
	// stop takes from one what it grants, and stopMissing from all that are not in a list.
	takesAway   func(Object) bool
	stop        func(ID)
	stopMissing func(keep func(ID) bool)
	// then calls back when all that set, remove and retain were told is in the index.
	then func(func())
}

var scheme = func() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(v1alpha1.AddToScheme(s))
	utilruntime.Must(corev1.AddToScheme(s))
	return s
}()

func claviger(name string, list func() runtime.Object) resource {
	return resource{
		name: name, group: v1alpha1.GroupVersion, list: list,
		labelSelector: labels.Everything(), fieldSelector: fields.Everything(),
	}
}

func workspaces(x *keyindex.Index) kind[*v1alpha1.Workspace, types.NamespacedName] {
	return kind[*v1alpha1.Workspace, types.NamespacedName]{
		resource: claviger("workspaces", func() runtime.Object { return &v1alpha1.WorkspaceList{} }),
		empty:    func() *v1alpha1.Workspace { return &v1alpha1.Workspace{} },
		id:       named[*v1alpha1.Workspace],
		set:      always(x.SetWorkspace),
		remove:   x.DeleteWorkspace,
		retain:   x.RetainWorkspaces,
		count:    func() int { return x.Counts().Workspaces },

		takesAway: func(w *v1alpha1.Workspace) bool { return w.Spec.Suspended },
		stop:      x.StopWorkspace,
	}
}

func serviceAccounts(x *keyindex.Index) kind[*v1alpha1.ServiceAccount, types.NamespacedName] {
	return kind[*v1alpha1.ServiceAccount, types.NamespacedName]{
		resource: claviger("serviceaccounts", func() runtime.Object { return &v1alpha1.ServiceAccountList{} }),
		empty:    func() *v1alpha1.ServiceAccount { return &v1alpha1.ServiceAccount{} },
		id:       named[*v1alpha1.ServiceAccount],
		set:      always(x.SetServiceAccount),
		remove:   x.DeleteServiceAccount,
		retain:   x.RetainServiceAccounts,
		count:    func() int { return x.Counts().ServiceAccounts },

		takesAway: func(a *v1alpha1.ServiceAccount) bool { return a.Spec.Suspended },
		stop:      x.StopServiceAccount,
	}
}

func keyLimits(x *keyindex.Index) kind[*v1alpha1.KeyLimit, types.NamespacedName] {
	return kind[*v1alpha1.KeyLimit, types.NamespacedName]{
		resource: claviger("keylimits", func() runtime.Object { return &v1alpha1.KeyLimitList{} }),
		empty:    func() *v1alpha1.KeyLimit { return &v1alpha1.KeyLimit{} },
		id:       named[*v1alpha1.KeyLimit],
		set:      always(x.SetKeyLimit),
		remove:   x.DeleteKeyLimit,
		retain:   x.RetainKeyLimits,
		count:    func() int { return x.Counts().KeyLimits },

		takesAway: func(*v1alpha1.KeyLimit) bool { return false },
		stop:      func(types.NamespacedName) {}, // without its limit a key may do more
	}
}

// apiKeys go by their UID: one that is made again under its name is another key.
func apiKeys(x *keyindex.Index) kind[*v1alpha1.ApiKey, types.UID] {
	return kind[*v1alpha1.ApiKey, types.UID]{
		resource: claviger("apikeys", func() runtime.Object { return &v1alpha1.ApiKeyList{} }),
		empty:    func() *v1alpha1.ApiKey { return &v1alpha1.ApiKey{} },
		id:       func(k *v1alpha1.ApiKey) (types.UID, error) { return k.UID, nil },
		set:      x.SetApiKey,
		remove:   x.DeleteApiKey,
		retain:   x.RetainApiKeys,
		count:    func() int { return x.Counts().ApiKeys },

		takesAway: func(k *v1alpha1.ApiKey) bool {
			return k.Spec.State == v1alpha1.KeyRevoked || k.Spec.State == v1alpha1.KeyDisabled
		},
		stop:        x.DeleteApiKey,
		stopMissing: x.RetainApiKeys,
		then:        immediately,
	}
}

// issue is which credential a hashed Secret holds. That goes by its name alone, which cannot change.
type issue struct {
	key        types.UID
	generation int
}

// secrets are, of all Secrets, only those that the operator keeps hashes in.
func secrets(x *keyindex.Index, namespace string) kind[*corev1.Secret, issue] {
	retain := func(keep func(issue) bool) {
		x.RetainCredentials(func(key types.UID, generation int) bool { return keep(issue{key, generation}) })
	}
	remove := func(i issue) { x.DeleteCredential(i.key, i.generation) }
	return kind[*corev1.Secret, issue]{
		resource: resource{
			name: "secrets", group: corev1.SchemeGroupVersion, list: func() runtime.Object { return &corev1.SecretList{} },
			namespace:     namespace,
			labelSelector: labels.SelectorFromSet(labels.Set{v1alpha1.LabelSecret: v1alpha1.SecretHashed}),
			fieldSelector: fields.OneTermEqualSelector("type", v1alpha1.SecretTypeHash),
		},
		empty:  func() *corev1.Secret { return &corev1.Secret{} },
		id:     issueOf,
		set:    func(s *corev1.Secret) error { return setSecret(x, s) },
		remove: remove,
		retain: retain,
		count:  func() int { return x.Counts().Credentials },

		takesAway:   func(*corev1.Secret) bool { return false },
		stop:        remove,
		stopMissing: retain,
		then:        immediately,
	}
}

func issueOf(s *corev1.Secret) (issue, error) {
	key, generation, ok := credential.ParseName(s.Name)
	if !ok {
		return issue{}, errors.New("its name is not that of a hashed Secret")
	}
	return issue{key, generation}, nil
}

// setSecret takes a Secret that cannot be understood for one that is gone.
func setSecret(x *keyindex.Index, secret *corev1.Secret) error {
	c, err := credential.FromSecret(secret)
	if err == nil {
		err = x.SetCredential(c)
	}
	if err == nil {
		return nil
	}
	if i, unnamed := issueOf(secret); unnamed == nil {
		x.DeleteCredential(i.key, i.generation)
	}
	return fmt.Errorf("its key will not work; delete the Secret, and the operator makes a new key: %w", err)
}

func named[Object client.Object](o Object) (types.NamespacedName, error) {
	return client.ObjectKeyFromObject(o), nil
}

func always[Object any](set func(Object)) func(Object) error {
	return func(o Object) error { set(o); return nil }
}

func immediately(done func()) { done() }
