package controllers_test

import (
	"encoding/base64"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/token"
)

func failOnLoss(s *v1alpha1.ApiKeySpec) { s.Delivery.OnLoss = v1alpha1.OnLossFail }

// issued makes an ApiKey and its key.
func issued(t *testing.T, d *direct, key *v1alpha1.ApiKey) *v1alpha1.ApiKey {
	t.Helper()
	create(t, key)
	after := d.settle(t, key)
	oneKey(t, d.Namespace, key)
	d.told()
	return after
}

func TestANewKeyIsAsItsSpecSays(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop", func(s *v1alpha1.WorkspaceSpec) { s.Keys.Prefix = "shop" }))
	d := newDirect(operator)
	for name, want := range map[string]struct {
		spec   func(*v1alpha1.ApiKeySpec)
		begins string
	}{
		"plain":    {func(*v1alpha1.ApiKeySpec) {}, "shop_live_"},
		"for-test": {func(s *v1alpha1.ApiKeySpec) { s.Environment = v1alpha1.EnvironmentTest }, "shop_test_"},
		"prefixed": {func(s *v1alpha1.ApiKeySpec) { s.Prefix = "pat" }, "pat_live_"},
		"disabled": {func(s *v1alpha1.ApiKeySpec) { s.State = v1alpha1.KeyDisabled }, "shop_live_"},
	} {
		key := newKey(ns, name, "shop", want.spec)
		after := issued(t, d, key)
		if text := plaintext(delivered(t, key)); !strings.HasPrefix(text, want.begins) {
			t.Errorf("%s: the key does not begin with %s", name, want.begins)
		}
		if !strings.HasPrefix(after.Status.Hint, want.begins+"…") || after.Status.KeyID != string(key.UID) ||
			after.Status.SecretName != name || after.Status.IssuedAt == nil || after.Status.ObservedGeneration != 1 {
			t.Errorf("%s: status %+v", name, after.Status)
		}
	}
}

func TestALostSecret(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))

	t.Run("is replaced, with an Event", func(t *testing.T) {
		d := newDirect(operator)
		key := newKey(ns, "rotate", "shop")
		before := issued(t, d, key)
		lost := plaintext(delivered(t, key))
		remove(t, delivered(t, key))
		after := d.settle(t, key)
		if c := oneKey(t, operator, key); c.Generation != 2 || c.Hash == token.HashOf(lost) {
			t.Errorf("generation %d", c.Generation)
		}
		if after.Status.Hint == before.Status.Hint || after.Status.KeyID != before.Status.KeyID {
			t.Errorf("status %+v, and it was %+v", after.Status, before.Status)
		}
		if told := d.told(); len(told) != 1 || !strings.Contains(told[0], "Warning SecretLost") {
			t.Errorf("Events %q", told)
		}
	})

	t.Run("is only reported where that was asked for", func(t *testing.T) {
		d := newDirect(operator)
		key := newKey(ns, "fail", "shop", failOnLoss)
		before := issued(t, d, key)
		remove(t, delivered(t, key))
		after := d.settle(t, key)
		if reason(after) != v1alpha1.ReasonSecretLost || !isStalled(after) || after.Status.State != v1alpha1.ReasonActive {
			t.Errorf("status %+v", after.Status)
		}
		if delivered(t, key) != nil || len(hashes(t, operator, key)) != 1 || after.Status.Hint != before.Status.Hint {
			t.Error("the lost key was not left as it was")
		}
		if told := d.told(); len(told) != 1 || !strings.Contains(told[0], "Warning SecretLost") {
			t.Errorf("Events %q", told)
		}
		change(t, key, func(k *v1alpha1.ApiKey) { k.Spec.Delivery.OnLoss = v1alpha1.OnLossRotate })
		if after = d.settle(t, key); reason(after) != v1alpha1.ReasonReconciled || isStalled(after) {
			t.Errorf("after onLoss was changed: status %+v", after.Status)
		}
		oneKey(t, operator, key)
	})

	for name, stop := range map[string]func(*v1alpha1.ApiKeySpec, time.Time){
		"revoked": func(s *v1alpha1.ApiKeySpec, _ time.Time) { s.State = v1alpha1.KeyRevoked },
		"expired": func(s *v1alpha1.ApiKeySpec, now time.Time) { s.ExpiresAt = &metav1.Time{Time: now.Add(-time.Hour)} },
	} {
		t.Run("of a key that is "+name+" is let go", func(t *testing.T) {
			d := newDirect(operator)
			key := newKey(ns, "let-go-"+name, "shop", failOnLoss)
			issued(t, d, key)
			change(t, key, func(k *v1alpha1.ApiKey) { stop(&k.Spec, d.clock.Now()) })
			remove(t, delivered(t, key))
			after := d.settle(t, key)
			if reason(after) != v1alpha1.ReasonReconciled || isStalled(after) || delivered(t, key) != nil || len(hashes(t, operator, key)) != 1 {
				t.Errorf("status %+v", after.Status)
			}
		})
	}
}

func TestAHashThatSomebodyDeletedIsWrittenAgain(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	d := newDirect(operator)
	key := newKey(ns, "key", "shop", func(s *v1alpha1.ApiKeySpec) { s.TTL = &metav1.Duration{Duration: time.Hour} })
	issued(t, d, key)
	before, text := hashes(t, operator, key)[0], plaintext(delivered(t, key))
	remove(t, &before)
	d.settle(t, key)
	oneKey(t, operator, key)
	after := hashes(t, operator, key)[0]
	if !reflect.DeepEqual(after.Data, before.Data) || !reflect.DeepEqual(after.Annotations, before.Annotations) {
		t.Error("the hashed Secret is another than it was")
	}
	if plaintext(delivered(t, key)) != text {
		t.Error("the key was changed")
	}
}

// How long a key may live counts from when it was made, however late it is hashed, or hashed again.
func TestHashingAKeyAgainDoesNotLengthenItsLife(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop", func(s *v1alpha1.WorkspaceSpec) { s.Keys.MaxTTL = &metav1.Duration{Duration: time.Hour} }))
	d := newDirect(operator)
	until := func(d time.Duration) func(*v1alpha1.ApiKeySpec) {
		return func(s *v1alpha1.ApiKeySpec) { s.ExpiresAt = &metav1.Time{Time: time.Now().Add(d)} }
	}
	key := newKey(ns, "key", "shop", until(30*time.Minute))
	issued(t, d, key)
	d.clock.SetTime(time.Now().Add(20 * time.Minute))
	hash := hashes(t, operator, key)[0]
	remove(t, &hash)
	change(t, key, func(k *v1alpha1.ApiKey) { until(70 * time.Minute)(&k.Spec) })
	after := d.settle(t, key)
	if reason(after) != v1alpha1.ReasonInvalidSpec || !isStalled(after) || len(hashes(t, operator, key)) != 0 {
		t.Errorf("70 minutes for a key that may live for an hour: status %+v", after.Status)
	}
	change(t, key, func(k *v1alpha1.ApiKey) { until(50 * time.Minute)(&k.Spec) })
	if after = d.settle(t, key); reason(after) != v1alpha1.ReasonReconciled {
		t.Errorf("50 minutes for it: status %+v", after.Status)
	}
	if c := oneKey(t, operator, key); c.NotAfter == nil || c.NotAfter.Sub(c.IssuedAt) > time.Hour {
		t.Errorf("it was issued at %v and lives until %v", c.IssuedAt, c.NotAfter)
	}
}

func TestSomebodyElsesSecretIsNeverTouched(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	for name, labels := range map[string]map[string]string{
		"unlabelled":            nil,
		"of-an-older-api-key":   {v1alpha1.LabelSecret: v1alpha1.SecretDelivered, v1alpha1.LabelApiKeyUID: "1b4e28ba-2fa1-11d2-883f-0016d3cca427"},
		"labelled-as-something": {v1alpha1.LabelSecret: v1alpha1.SecretHashed},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDirect(operator)
			foreign := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: labels}, StringData: map[string]string{"api-key": "mine"}}
			create(t, foreign)
			key := newKey(ns, name, "shop")
			create(t, key)
			after := d.settle(t, key)
			if reason(after) != v1alpha1.ReasonSecretConflict || after.Status.State != v1alpha1.ReasonPending || !isStalled(after) {
				t.Errorf("status %+v", after.Status)
			}
			if got := secret(t, ns, name); got.ResourceVersion != foreign.ResourceVersion {
				t.Error("it was written to")
			}
			result, err := d.once(t, key)
			if err != nil || result.RequeueAfter != 30*time.Second {
				t.Errorf("it is looked at again after %v (%v)", result.RequeueAfter, err)
			}
			if told := d.told(); len(told) != 1 || !strings.Contains(told[0], "Warning SecretConflict") {
				t.Errorf("Events %q", told)
			}
			remove(t, foreign)
			d.settle(t, key)
			oneKey(t, operator, key)
		})
	}
}

func TestARefusedWriteIsReportedAndTriedAgain(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "none"}}
	quota.Spec.Hard = corev1.ResourceList{"count/secrets": resource.MustParse("0")}
	create(t, quota)
	quota.Status.Hard, quota.Status.Used = quota.Spec.Hard, quota.Spec.Hard // as the quota controller would
	if err := admin.Status().Update(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	d := newDirect(operator)
	key := newKey(ns, "key", "shop")
	create(t, key)
	result, err := d.once(t, key)
	after := fresh(t, key)
	ready := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionReady)
	if err != nil || result.RequeueAfter == 0 || ready == nil || ready.Reason != "WriteRefused" || !strings.Contains(ready.Message, "quota") {
		t.Errorf("%+v, %v, %+v", result, err, after.Status)
	}
	remove(t, quota)
	eventually(t, func() string {
		if d.settle(t, key); delivered(t, key) == nil {
			return "nothing is delivered though the quota is gone"
		}
		return ""
	})
	oneKey(t, operator, key)
}

// Where the operator's own namespace is missing, its log and the key's status say so, and it backs off.
func TestAMissingOperatorNamespaceIsReported(t *testing.T) {
	ns := newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	d := newDirect(ns + "-operator")
	key := newKey(ns, "key", "shop")
	create(t, key)
	for range 2 {
		if result, err := d.once(t, key); err == nil || !strings.Contains(err.Error(), "--namespace") || result.RequeueAfter != 0 {
			t.Errorf("%+v, %v", result, err)
		}
	}
	after := fresh(t, key)
	ready := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Reason != v1alpha1.ReasonWriteRefused || !strings.Contains(ready.Message, d.Namespace) || after.Status.State != v1alpha1.ReasonPending {
		t.Errorf("status %+v", after.Status)
	}
	text := plaintext(delivered(t, key))
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: d.Namespace}})
	if after = d.settle(t, key); reason(after) != v1alpha1.ReasonReconciled || plaintext(delivered(t, key)) != text {
		t.Errorf("after it was created: status %+v", after.Status)
	}
	oneKey(t, d.Namespace, key)
}

// Labels and annotations of the delivery come and go with the spec; what others put there stays.
func TestTheDeliveredSecretWearsWhatTheSpecSays(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	d := newDirect(operator)
	key := newKey(ns, "key", "shop", func(s *v1alpha1.ApiKeySpec) {
		s.Delivery.Labels = map[string]v1alpha1.LabelValue{"team": "web", "tier": "1"}
		s.Delivery.Annotations = map[string]v1alpha1.AnnotationValue{"example.com/note": "hello"}
	})
	issued(t, d, key)
	first := delivered(t, key)
	if first.Labels["team"] != "web" || first.Labels["tier"] != "1" || first.Annotations["example.com/note"] != "hello" {
		t.Errorf("labels %v, annotations %v", first.Labels, first.Annotations)
	}
	if !metav1.IsControlledBy(first, key) {
		t.Errorf("owners %v", first.OwnerReferences)
	}
	change(t, first, func(s *corev1.Secret) { s.Labels["theirs"] = "yes"; s.Annotations["theirs"] = "yes" })
	change(t, key, func(k *v1alpha1.ApiKey) {
		k.Spec.Delivery.Labels = map[string]v1alpha1.LabelValue{"team": "app"}
		k.Spec.Delivery.Annotations = nil
		k.Spec.Delivery.DeletionPolicy = v1alpha1.DeletionRetain
	})
	d.settle(t, key)
	second := delivered(t, key)
	if _, worn := second.Labels["tier"]; worn || second.Labels["team"] != "app" || second.Labels["theirs"] != "yes" {
		t.Errorf("labels %v", second.Labels)
	}
	if _, worn := second.Annotations["example.com/note"]; worn || second.Annotations["theirs"] != "yes" {
		t.Errorf("annotations %v", second.Annotations)
	}
	if len(second.OwnerReferences) != 0 {
		t.Errorf("owners %v of a Secret that is to be retained", second.OwnerReferences)
	}
	if !maps.EqualFunc(first.Data, second.Data, func(a, b []byte) bool { return string(a) == string(b) }) || first.UID != second.UID {
		t.Error("the key was changed")
	}
	change(t, second, func(s *corev1.Secret) { delete(s.Labels, "team") })
	change(t, key, func(k *v1alpha1.ApiKey) { k.Spec.Delivery.DeletionPolicy = v1alpha1.DeletionDelete })
	d.settle(t, key)
	if third := delivered(t, key); third.Labels["team"] != "app" || !metav1.IsControlledBy(third, key) {
		t.Errorf("labels %v, owners %v", third.Labels, third.OwnerReferences)
	}
	oneKey(t, operator, key)
}

func TestNoEventAndNoStatusShowsAKey(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	d := newDirect(operator)
	key := newKey(ns, "key", "shop")
	issued(t, d, key)
	text := plaintext(delivered(t, key))
	hash := hashes(t, operator, key)[0].Data["hash"]
	remove(t, delivered(t, key))
	d.settle(t, key)
	change(t, delivered(t, key), func(s *corev1.Secret) { s.Data[v1alpha1.DataKeyApiKey] = []byte(text) })
	after := d.settle(t, key)
	shown := strings.Join(d.told(), "\n") + toJSON(t, after)
	for _, secret := range []string{text, text[len(text)-32:], string(hash), base64.StdEncoding.EncodeToString(hash), base64.StdEncoding.EncodeToString([]byte(text))} {
		if strings.Contains(shown, secret) {
			t.Error("a key or its hash is shown")
		}
	}
}
