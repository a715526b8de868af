package controllers_test

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// Deleting waits for nobody. What the operator missed while it was down it clears away when it starts.
func TestDeletionWhileTheOperatorIsDown(t *testing.T) {
	operator, ns, gone := newNamespace(t, "operator"), newNamespace(t, "team"), newNamespace(t, "gone")
	first := start(t, operator, ns, gone)
	keys := map[string]*v1alpha1.ApiKey{}
	for _, in := range []string{ns, gone} {
		create(t, newWorkspace(in, "shop"))
		for _, policy := range []v1alpha1.DeletionPolicy{v1alpha1.DeletionDelete, v1alpha1.DeletionRetain} {
			key := newKey(in, strings.ToLower(string(policy)), "shop", func(s *v1alpha1.ApiKeySpec) { s.Delivery.DeletionPolicy = policy })
			create(t, key)
			awaitReason(t, key, v1alpha1.ReasonReconciled)
			keys[in+"/"+key.Name] = key
		}
	}
	kept := newKey(ns, "kept", "shop")
	create(t, kept)
	awaitReason(t, kept, v1alpha1.ReasonReconciled)
	before := versions(t, operator, kept)
	first.quiet(t)
	first.stop()

	remove(t, keys[ns+"/delete"])
	remove(t, keys[ns+"/retain"])
	remove(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: gone}})
	eventually(t, func() string {
		if err := admin.Get(t.Context(), client.ObjectKey{Name: gone}, &corev1.Namespace{}); err == nil {
			return "the namespace is still there"
		}
		if delivered(t, keys[ns+"/delete"]) != nil {
			return "the delivered Secret of a deleted ApiKey is still there"
		}
		return ""
	})
	if delivered(t, keys[ns+"/retain"]) == nil {
		t.Error("a Secret that was to be retained is gone")
	}
	for name, key := range keys {
		if len(hashes(t, operator, key)) != 1 {
			t.Fatalf("the hash of %s went by itself", name)
		}
	}

	start(t, operator, ns, gone)
	for name, key := range keys {
		eventually(t, func() string {
			if len(hashes(t, operator, key)) != 0 {
				return "the hash of " + name + " is still there"
			}
			return ""
		})
	}
	sameSecrets(t, operator, kept, before)
}

func TestDeletionWhileTheOperatorRuns(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	start(t, operator, ns)

	// It revokes at once, whoever's finalizer holds the object up.
	held := newKey(ns, "held", "shop")
	held.Finalizers = []string{"example.com/hold"}
	create(t, held)
	awaitReason(t, held, v1alpha1.ReasonReconciled)
	remove(t, held)
	remove(t, delivered(t, held)) // as foreground deletion does
	eventually(t, func() string {
		if len(hashes(t, operator, held)) != 0 {
			return "the hash of a deleted ApiKey is still there"
		}
		return ""
	})
	if delivered(t, held) != nil {
		t.Error("a deleted ApiKey got another Secret")
	}
	change(t, held, func(k *v1alpha1.ApiKey) { k.Finalizers = nil })

	// The same name again is another ApiKey with another key.
	key := newKey(ns, "key", "shop")
	create(t, key)
	awaitReason(t, key, v1alpha1.ReasonReconciled)
	text := plaintext(delivered(t, key))
	remove(t, key)
	again := newKey(ns, "key", "shop")
	create(t, again)
	awaitReason(t, again, v1alpha1.ReasonReconciled)
	oneKey(t, operator, again)
	if plaintext(delivered(t, again)) == text {
		t.Error("it has the key of its predecessor")
	}
	eventually(t, func() string {
		if len(hashes(t, operator, key)) != 0 {
			return "the hash of its predecessor is still there"
		}
		return ""
	})
}

// In a namespace that is being deleted nothing can be created; that is no reason to try again and again.
func TestANamespaceThatIsBeingDeleted(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	// Something of somebody else's holds the namespace, and with it the ApiKey, up.
	key := newKey(ns, "key", "later")
	key.Finalizers = []string{"example.com/hold"}
	create(t, key)
	waiting := newWorkspace(ns, "later")
	waiting.Finalizers = []string{"example.com/hold"}
	create(t, waiting)
	remove(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})
	d := newDirect(operator)
	// Deletion of the namespace has begun, that of the ApiKey perhaps not yet, as in a cache that is behind.
	alive := fresh(t, key)
	alive.DeletionTimestamp = nil
	d.Cached = &stale{Reader: d.Cached, key: alive}
	d.Live = deathless{d.Live}
	result, err := d.once(t, key)
	if err != nil || result.RequeueAfter != 0 || delivered(t, key) != nil {
		t.Errorf("%+v, %v", result, err)
	}
	change(t, waiting, func(w *v1alpha1.Workspace) { w.Finalizers = nil })
	change(t, key, func(k *v1alpha1.ApiKey) { k.Finalizers = nil })
}

// deathless shows objects as if they were not being deleted.
type deathless struct{ client.Reader }

func (d deathless) Get(ctx context.Context, at client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	err := d.Reader.Get(ctx, at, object, opts...)
	object.SetDeletionTimestamp(nil)
	return err
}
