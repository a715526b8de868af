package controllers_test

import (
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/token"
)

// Only how long a broken test takes: none of them measures time.
const patience = time.Minute

var namespaces atomic.Int64

// newNamespace makes a namespace that no other test uses.
func newNamespace(t *testing.T, name string) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name + "-" + strconv.FormatInt(namespaces.Add(1), 10)}}
	create(t, ns)
	return ns.Name
}

func create(t *testing.T, object client.Object) {
	t.Helper()
	if err := admin.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, object client.Object) {
	t.Helper()
	if err := admin.Delete(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

// change gets an object as it is, changes it and updates it.
func change[T client.Object](t *testing.T, object T, how func(T)) {
	t.Helper()
	for {
		if err := admin.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			t.Fatal(err)
		}
		how(object)
		err := admin.Update(t.Context(), object)
		if err == nil {
			return
		}
		if !apierrors.IsConflict(err) {
			t.Fatal(err)
		}
	}
}

func newWorkspace(namespace, name string, with ...func(*v1alpha1.WorkspaceSpec)) *v1alpha1.Workspace {
	w := &v1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	for _, set := range with {
		set(&w.Spec)
	}
	return w
}

func newAccount(namespace, name, workspace string, with ...func(*v1alpha1.ServiceAccountSpec)) *v1alpha1.ServiceAccount {
	a := &v1alpha1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	a.Spec.WorkspaceRef.Name = workspace
	for _, set := range with {
		set(&a.Spec)
	}
	return a
}

func newLimit(namespace, name string) *v1alpha1.KeyLimit {
	return &v1alpha1.KeyLimit{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.KeyLimitSpec{Rates: []v1alpha1.Rate{{Requests: 1, Per: metav1.Duration{Duration: time.Minute}}}},
	}
}

func newKey(namespace, name, workspace string, with ...func(*v1alpha1.ApiKeySpec)) *v1alpha1.ApiKey {
	k := &v1alpha1.ApiKey{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	k.Spec.WorkspaceRef.Name = workspace
	for _, set := range with {
		set(&k.Spec)
	}
	return k
}

// fresh reads an ApiKey anew.
func fresh(t *testing.T, key *v1alpha1.ApiKey) *v1alpha1.ApiKey {
	t.Helper()
	found := &v1alpha1.ApiKey{}
	if err := admin.Get(t.Context(), client.ObjectKeyFromObject(key), found); err != nil {
		t.Fatal(err)
	}
	return found
}

// delivered reads the delivered Secret of an ApiKey; nil: there is none.
func delivered(t *testing.T, key *v1alpha1.ApiKey) *corev1.Secret {
	t.Helper()
	return secret(t, key.Namespace, key.SecretName())
}

func secret(t *testing.T, namespace, name string) *corev1.Secret {
	t.Helper()
	found := &corev1.Secret{}
	err := admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, found)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// hashes reads the hashed Secrets of an ApiKey.
func hashes(t *testing.T, operator string, key *v1alpha1.ApiKey) []corev1.Secret {
	t.Helper()
	var list corev1.SecretList
	err := admin.List(t.Context(), &list, client.InNamespace(operator), client.MatchingLabels{
		v1alpha1.LabelSecret: v1alpha1.SecretHashed, v1alpha1.LabelApiKeyUID: string(key.UID)})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func plaintext(secret *corev1.Secret) string { return string(secret.Data[v1alpha1.DataKeyApiKey]) }

// oneKey checks that an ApiKey has exactly one key, whose plain text is delivered, and
// returns its credential.
func oneKey(t *testing.T, operator string, key *v1alpha1.ApiKey) credential.Credential {
	t.Helper()
	found := hashes(t, operator, key)
	if len(found) != 1 {
		t.Fatalf("ApiKey %s has %d hashes, want one", key.Name, len(found))
	}
	c, err := credential.FromSecret(&found[0])
	if err != nil {
		t.Fatal(err)
	}
	secret := delivered(t, key)
	if secret == nil {
		t.Fatalf("no Secret of %s is delivered", key.Name)
	}
	parsed, err := token.Parse(plaintext(secret))
	if err != nil {
		t.Fatalf("the delivered Secret holds no key: %v", err)
	}
	if parsed.Hash() != c.Hash {
		t.Fatal("the hash is of another key than the delivered one")
	}
	if string(secret.Data[v1alpha1.DataKeyKeyID]) != string(key.UID) {
		t.Errorf("key-id is %q", secret.Data[v1alpha1.DataKeyKeyID])
	}
	return c
}

func reason(key *v1alpha1.ApiKey) string {
	if ready := meta.FindStatusCondition(key.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
		return ready.Reason
	}
	return ""
}

func isStalled(key *v1alpha1.ApiKey) bool {
	return meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionStalled)
}

// eventually repeats a check until it finds nothing missing.
func eventually(t *testing.T, check func() (missing string)) {
	t.Helper()
	var missing string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if missing = check(); missing == "" {
			return
		}
	}
	t.Fatal(missing)
}

// awaitReason waits until the Ready condition has a reason.
func awaitReason(t *testing.T, key *v1alpha1.ApiKey, want string) *v1alpha1.ApiKey {
	t.Helper()
	var found *v1alpha1.ApiKey
	eventually(t, func() string {
		if found = fresh(t, key); reason(found) != want {
			return "the Ready condition of " + key.Name + " has the reason " + reason(found) + ", want " + want
		}
		return ""
	})
	return found
}

func awaitState(t *testing.T, key *v1alpha1.ApiKey, want string) *v1alpha1.ApiKey {
	t.Helper()
	var found *v1alpha1.ApiKey
	eventually(t, func() string {
		if found = fresh(t, key); found.Status.State != want {
			return "the state of " + key.Name + " is " + found.Status.State + ", want " + want
		}
		return ""
	})
	return found
}

func readyMessage(key *v1alpha1.ApiKey) string {
	if ready := meta.FindStatusCondition(key.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
		return ready.Message
	}
	return ""
}
