package controllers_test

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// stale is a cache that stopped at some moment. Of an ApiKey and its Secrets it shows
// what there was then.
type stale struct {
	client.Reader
	key    *v1alpha1.ApiKey
	meta   *metav1.PartialObjectMetadata
	hashed []corev1.Secret
}

// stopCaches makes the caches of an operator stale from now on. A nil key has never been seen.
func stopCaches(t *testing.T, d *direct, key *v1alpha1.ApiKey) *stale {
	t.Helper()
	s := &stale{Reader: d.Cached}
	if key != nil {
		s.key = fresh(t, key)
		s.hashed = hashes(t, d.Namespace, key)
		meta := &metav1.PartialObjectMetadata{}
		meta.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
		at := client.ObjectKey{Namespace: key.Namespace, Name: key.SecretName()}
		if d.Cached.Get(t.Context(), at, meta) == nil {
			s.meta = meta
		}
	}
	d.Cached, d.Hashed = s, s
	return s
}

func (s *stale) Get(ctx context.Context, at client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	switch o := object.(type) {
	case *v1alpha1.ApiKey:
		if s.key != nil {
			s.key.DeepCopyInto(o)
			return nil
		}
	case *metav1.PartialObjectMetadata:
		if s.meta != nil && s.meta.Name == at.Name {
			s.meta.DeepCopyInto(o)
			return nil
		}
	default:
		return s.Reader.Get(ctx, at, object, opts...)
	}
	return apierrors.NewNotFound(schema.GroupResource{Resource: "objects"}, at.Name)
}

func (s *stale) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if secrets, ok := list.(*corev1.SecretList); ok {
		(&corev1.SecretList{Items: s.hashed}).DeepCopyInto(secrets)
		return nil
	}
	return s.Reader.List(ctx, list, opts...)
}

// versions are the resource versions of all of an ApiKey's Secrets.
func versions(t *testing.T, operator string, key *v1alpha1.ApiKey) map[string]string {
	t.Helper()
	found := map[string]string{}
	if secret := delivered(t, key); secret != nil {
		found[string(secret.UID)] = secret.ResourceVersion
	}
	for _, secret := range hashes(t, operator, key) {
		found[string(secret.UID)] = secret.ResourceVersion
	}
	return found
}

// repeatedly looks at a key again and again, both by the same operator and by ones that were just
// started, whose caches are all stale in the same way. That calls fail is to be expected.
func repeatedly(t *testing.T, operator string, key *v1alpha1.ApiKey, s *stale) {
	t.Helper()
	for range 3 {
		d := newDirect(operator)
		d.Cached, d.Hashed = s, s
		for range 3 {
			d.once(t, key) //nolint:errcheck // what matters is what is done
		}
	}
}

func sameSecrets(t *testing.T, operator string, key *v1alpha1.ApiKey, before map[string]string) {
	t.Helper()
	after := versions(t, operator, key)
	for uid, version := range before {
		if after[uid] != version {
			t.Errorf("Secret %s was at version %s and is at %q", uid, version, after[uid])
		}
	}
	if len(after) != len(before) {
		t.Errorf("there are %d Secrets, and there were %d", len(after), len(before))
	}
}

func TestStaleCachesNeverMakeASecondKey(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	up := newDirect(operator)

	t.Run("nothing of what was written shows", func(t *testing.T) {
		key := newKey(ns, "unseen", "shop")
		create(t, key)
		d := newDirect(operator)
		s := stopCaches(t, d, key)
		d.once(t, key) //nolint:errcheck // see below
		oneKey(t, operator, key)
		before := versions(t, operator, key)
		repeatedly(t, operator, key, s)
		sameSecrets(t, operator, key, before)
	})

	t.Run("a replacement does not show", func(t *testing.T) {
		key := newKey(ns, "replaced", "shop")
		create(t, key)
		up.settle(t, key)
		s := stopCaches(t, newDirect(operator), key)
		remove(t, delivered(t, key))
		up.settle(t, key)
		if c := oneKey(t, operator, key); c.Generation != 2 {
			t.Fatalf("generation %d", c.Generation)
		}
		before := versions(t, operator, key)
		repeatedly(t, operator, key, s)
		sameSecrets(t, operator, key, before)
	})

	t.Run("a loss does not show", func(t *testing.T) {
		key := newKey(ns, "lost", "shop")
		create(t, key)
		up.settle(t, key)
		s := stopCaches(t, newDirect(operator), key)
		remove(t, delivered(t, key))
		repeatedly(t, operator, key, s)
		if c := oneKey(t, operator, key); c.Generation != 2 {
			t.Errorf("the lost key was replaced until generation %d", c.Generation)
		}
	})

	t.Run("neither a replacement nor its loss shows", func(t *testing.T) {
		key := newKey(ns, "lost-twice", "shop", func(s *v1alpha1.ApiKeySpec) { s.Delivery.OnLoss = v1alpha1.OnLossRotate })
		create(t, key)
		s := stopCaches(t, newDirect(operator), key)
		up.settle(t, key)
		remove(t, delivered(t, key))
		up.settle(t, key)
		change(t, key, func(k *v1alpha1.ApiKey) { k.Spec.Delivery.OnLoss = v1alpha1.OnLossFail })
		remove(t, delivered(t, key))
		before := versions(t, operator, key)
		if len(before) != 1 {
			t.Fatalf("%d hashes are left", len(before))
		}
		repeatedly(t, operator, key, s)
		sameSecrets(t, operator, key, before)
	})

	t.Run("a key that no status tells of, and its loss, do not show", func(t *testing.T) {
		key := newKey(ns, "untold", "shop")
		create(t, key)
		s := stopCaches(t, newDirect(operator), key)
		up.settle(t, key)
		emptyStatus(t, key)
		remove(t, delivered(t, key))
		repeatedly(t, operator, key, s)
		if c := oneKey(t, operator, key); c.Generation != 2 {
			t.Errorf("the lost key was replaced by generation %d", c.Generation)
		}
	})

	t.Run("another ApiKey has the name by now", func(t *testing.T) {
		key := newKey(ns, "again", "shop")
		create(t, key)
		s := stopCaches(t, newDirect(operator), key)
		remove(t, key)
		again := newKey(ns, "again", "shop")
		create(t, again)
		repeatedly(t, operator, key, s)
		if found := versions(t, operator, key); len(found) != 0 {
			t.Errorf("the deleted ApiKey got %d Secrets", len(found))
		}
	})

	t.Run("no ApiKey shows at all", func(t *testing.T) {
		key := newKey(ns, "kept", "shop")
		create(t, key)
		up.settle(t, key)
		before := versions(t, operator, key)
		s := &stale{Reader: up.Cached, hashed: hashes(t, operator, key)}
		repeatedly(t, operator, key, s)
		sameSecrets(t, operator, key, before)
	})
}

// A cache of ApiKeys that is behind after the operator's own write makes it write nothing
// twice, and ask nothing.
func TestAnOperatorDoesNotWriteOverItself(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	key := newKey(ns, "key", "shop")
	create(t, key)
	d := newDirect(operator)
	old := stopCaches(t, d, key)
	if _, err := d.once(t, key); err != nil {
		t.Fatal(err)
	}
	made := d.calls.made
	now := stopCaches(t, newDirect(operator), key)
	old.meta, old.hashed = now.meta, now.hashed
	result, err := d.once(t, key)
	if err != nil || d.calls.made != made || result.RequeueAfter == 0 {
		t.Errorf("%d further calls were made; %+v, %v", d.calls.made-made, result, err)
	}
}

// without is a cache that has never heard of any Workspace.
type without struct{ client.Reader }

func (w without) Get(ctx context.Context, at client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	if _, ok := object.(*v1alpha1.Workspace); ok {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "workspaces"}, at.Name)
	}
	return w.Reader.Get(ctx, at, object, opts...)
}

// tokenless is a cache of before any ServiceAccount had a token.
type tokenless struct{ client.Reader }

func (c tokenless) Get(ctx context.Context, at client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	err := c.Reader.Get(ctx, at, object, opts...)
	if account, ok := object.(*v1alpha1.ServiceAccount); ok {
		account.Spec.Token = nil
	}
	return err
}
