package controllers_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

func adopting(s *v1alpha1.ApiKeySpec) { s.Delivery.Existing = v1alpha1.ExistingAdopt }

// restored is a delivered Secret as a backup brings it back: the same content, made anew.
func restored(secret *corev1.Secret) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: secret.Namespace, Name: secret.Name, Labels: secret.Labels, Annotations: secret.Annotations},
		Type:       secret.Type, Data: secret.Data,
	}
}

// Deleted and made again, from Git say, an ApiKey whose Secret was retained goes on with the same key.
func TestARetainedSecretIsAdoptedByTheNextApiKeyOfItsName(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	retain := func(s *v1alpha1.ApiKeySpec) { s.Delivery.DeletionPolicy = v1alpha1.DeletionRetain }
	key := newKey(ns, "key", "shop", adopting, retain)
	key.Annotations = map[string]string{v1alpha1.AnnotationRegenerate: "in Git"}
	create(t, key)
	newDirect(operator).settle(t, key)
	was, issued := delivered(t, key), oneKey(t, operator, key).IssuedAt
	remove(t, key)
	newDirect(operator).once(t, key) //nolint:errcheck // its hash goes

	again := newKey(ns, "key", "shop", adopting, retain)
	again.Annotations = map[string]string{v1alpha1.AnnotationRegenerate: "in Git"}
	create(t, again)
	d := newDirect(operator)
	d.clock.SetTime(d.clock.Now().Add(48 * time.Hour))
	after := d.settle(t, again)
	is := oneKey(t, operator, again)
	if plaintext(delivered(t, again)) != plaintext(was) || reason(after) != v1alpha1.ReasonReconciled {
		t.Fatalf("the key is another one: %s", reason(after))
	}
	if !is.IssuedAt.Equal(issued) {
		t.Errorf("it was issued at %v and counts as issued at %v: its life would be longer", issued, is.IssuedAt)
	}
}

// So does one that comes back from a backup with its Secret, under new UIDs.
func TestASecretFromABackupIsAdopted(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	key := newKey(ns, "key", "shop", adopting)
	create(t, key)
	newDirect(operator).settle(t, key)
	backup := restored(delivered(t, key))
	remove(t, key)
	eventually(t, func() string {
		if delivered(t, key) != nil {
			return "the garbage collector leaves the Secret"
		}
		return ""
	})
	newDirect(operator).once(t, key) //nolint:errcheck // its hash goes

	create(t, backup)
	again := newKey(ns, "key", "shop", adopting)
	create(t, again)
	newDirect(operator).settle(t, again)
	oneKey(t, operator, again)
	if plaintext(delivered(t, again)) != plaintext(backup) {
		t.Error("the key is another one")
	}
}

func TestNobodyElsesSecretIsAdopted(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	other := newKey(ns, "other", "shop")
	create(t, other)
	newDirect(operator).settle(t, other)
	owner := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "owner"}}
	create(t, owner)
	controlled := newSecret(ns, "controlled", made(t).Reveal())
	controlled.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID, Controller: ptr.To(true)}}
	create(t, controlled)
	create(t, newSecret(ns, "foreign", foreignKey))
	test := newSecret(ns, "unasked", made(t).Reveal())
	create(t, test)
	for name, with := range map[string]func(*v1alpha1.ApiKeySpec){
		"other": adopting, "controlled": adopting, "foreign": adopting, "unasked": func(*v1alpha1.ApiKeySpec) {},
	} {
		t.Run(name, func(t *testing.T) {
			before := secret(t, ns, name)
			key := newKey(ns, "wants-"+name, "shop", with, func(s *v1alpha1.ApiKeySpec) { s.Delivery.SecretName = name })
			create(t, key)
			if after := newDirect(operator).settle(t, key); reason(after) != v1alpha1.ReasonSecretConflict {
				t.Error(reason(after))
			}
			if is := secret(t, ns, name); is.ResourceVersion != before.ResourceVersion {
				t.Error("the Secret was changed")
			}
		})
	}
	oneKey(t, operator, other)
}

func TestACrashWhileASecretIsAdopted(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	atEveryCall(t, func(t *testing.T, c *calls) bool {
		text := made(t).Reveal()
		source := newSecret(ns, "", text)
		source.GenerateName = "existing-"
		create(t, source)
		key := newKey(ns, "", "shop", adopting, func(s *v1alpha1.ApiKeySpec) { s.Delivery.SecretName = source.Name })
		key.GenerateName = "key-"
		create(t, key)
		victim := newDirect(operator)
		victim.Live, victim.Writer = counted{c, admin}, counted{c, admin}
		_, err := victim.once(t, key)
		if c.crashed() != (err != nil) {
			t.Fatalf("at call %d: crashed %v, error %v", c.limit, c.crashed(), err)
		}
		newDirect(operator).settle(t, key)
		oneKey(t, operator, key)
		if plaintext(delivered(t, key)) != text {
			t.Errorf("at call %d: the key is another one", c.limit)
		}
		return c.crashed()
	})
}
