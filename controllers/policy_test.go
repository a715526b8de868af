package controllers_test

import (
	"encoding/json"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/validation"
)

func toJSON(t *testing.T, object any) string {
	t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func ttl(d time.Duration) func(*v1alpha1.ApiKeySpec) {
	return func(s *v1alpha1.ApiKeySpec) { s.TTL = &metav1.Duration{Duration: d} }
}

// A key that the webhook would have refused is not issued.
func TestABypassedWebhookIssuesNothing(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop", func(s *v1alpha1.WorkspaceSpec) {
		s.Scopes = []v1alpha1.ScopeDefinition{{Name: "orders:read"}}
		s.Keys.MaxTTL = &metav1.Duration{Duration: time.Hour}
		s.Keys.DefaultTTL = &metav1.Duration{Duration: time.Minute}
	}))
	create(t, newWorkspace(ns, "other"))
	create(t, newAccount(ns, "robot", "other"))
	create(t, newAccount(ns, "guest", "shop", func(s *v1alpha1.ServiceAccountSpec) { s.Grants = []v1alpha1.Grant{{Resource: "property/*"}} }))
	for name, spec := range map[string]func(*v1alpha1.ApiKeySpec){
		"a-scope-outside": func(s *v1alpha1.ApiKeySpec) { s.Scopes = []v1alpha1.Scope{"orders:delete"} },
		"a-grant-outside": func(s *v1alpha1.ApiKeySpec) {
			s.Grants = []v1alpha1.Grant{{Resource: "property/1", Scopes: []v1alpha1.Scope{"orders:delete"}}}
		},
		"a-grant-above-the-account": func(s *v1alpha1.ApiKeySpec) {
			s.ServiceAccountRef = &v1alpha1.LocalReference{Name: "guest"}
			s.Grants = []v1alpha1.Grant{{Resource: "property/1", Scopes: []v1alpha1.Scope{"orders:read"}}}
		},
		"too-long-a-life":      ttl(2 * time.Hour),
		"an-end-in-the-past":   func(s *v1alpha1.ApiKeySpec) { s.ExpiresAt = &metav1.Time{Time: time.Now().Add(-time.Hour)} },
		"an-account-elsewhere": func(s *v1alpha1.ApiKeySpec) { s.ServiceAccountRef = &v1alpha1.LocalReference{Name: "robot"} },
		"a-label-that-is-none": func(s *v1alpha1.ApiKeySpec) {
			s.Delivery.Labels = map[string]v1alpha1.LabelValue{"not a label": "x"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDirect(operator)
			key := newKey(ns, name, "shop", spec)
			create(t, key)
			after := d.settle(t, key)
			if reason(after) != v1alpha1.ReasonInvalidSpec || !isStalled(after) || after.Status.State != v1alpha1.ReasonPending {
				t.Errorf("status %+v", after.Status)
			}
			if delivered(t, key) != nil || len(hashes(t, operator, key)) != 0 {
				t.Error("a key was issued")
			}
			if told := d.told(); len(told) != 1 {
				t.Errorf("Events %q", told)
			}
		})
	}
}

// The end of an issued key follows its spec as far as the policy allows, and only where the
// spec changed.
func TestTheApprovedEnd(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	workspace := newWorkspace(ns, "shop", func(s *v1alpha1.WorkspaceSpec) {
		s.Keys.MaxTTL = &metav1.Duration{Duration: 10 * time.Hour}
		s.Keys.DefaultTTL = &metav1.Duration{Duration: 5 * time.Hour}
	})
	create(t, workspace)
	d := newDirect(operator)
	key := newKey(ns, "key", "shop")
	issued(t, d, key)
	lives := func(want time.Duration) {
		t.Helper()
		c := oneKey(t, operator, key)
		if c.NotAfter == nil || c.NotAfter.Sub(c.IssuedAt) != want {
			t.Errorf("the key lives until %v, %v after it was issued; want %v", c.NotAfter, c.NotAfter.Sub(c.IssuedAt), want)
		}
	}
	text := plaintext(delivered(t, key))
	lives(5 * time.Hour)

	change(t, key, func(k *v1alpha1.ApiKey) { ttl(8 * time.Hour)(&k.Spec) })
	d.settle(t, key)
	lives(8 * time.Hour)

	change(t, key, func(k *v1alpha1.ApiKey) { ttl(11 * time.Hour)(&k.Spec) })
	after := d.settle(t, key)
	lives(8 * time.Hour)
	if reason(after) != v1alpha1.ReasonInvalidSpec || !isStalled(after) || after.Status.State != v1alpha1.ReasonActive {
		t.Errorf("a life too long: status %+v", after.Status)
	}
	if got := after.Status.ExpiresAt.Sub(after.Status.IssuedAt.Time); got != 8*time.Hour {
		t.Errorf("the status tells of %v", got)
	}

	change(t, key, func(k *v1alpha1.ApiKey) { ttl(time.Hour)(&k.Spec) })
	if after = d.settle(t, key); reason(after) != v1alpha1.ReasonReconciled || isStalled(after) {
		t.Errorf("after it was mended: status %+v", after.Status)
	}
	lives(time.Hour)

	// The policy gets narrower; the key is renamed, its status is lost and the operator restarts.
	change(t, workspace, func(w *v1alpha1.Workspace) {
		w.Spec.Keys.MaxTTL = &metav1.Duration{Duration: time.Minute}
		w.Spec.Keys.DefaultTTL = nil
	})
	after = newDirect(operator).settle(t, key)
	if reason(after) != v1alpha1.ReasonReconciled {
		t.Errorf("after the policy changed: status %+v", after.Status)
	}
	emptyStatus(t, key)
	after = newDirect(operator).settle(t, key)
	if reason(after) != v1alpha1.ReasonReconciled {
		t.Errorf("after the policy changed and the status was lost: status %+v", after.Status)
	}
	lives(time.Hour)
	if plaintext(delivered(t, key)) != text {
		t.Error("the key was changed")
	}
}

func emptyStatus(t *testing.T, key *v1alpha1.ApiKey) {
	t.Helper()
	emptied := fresh(t, key)
	emptied.Status = v1alpha1.ApiKeyStatus{}
	if err := admin.Status().Update(t.Context(), emptied); err != nil {
		t.Fatal(err)
	}
}

// A key expires at its end, not sooner, and lives again where its end is put off.
func TestAKeyExpires(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	d := newDirect(operator)
	key := newKey(ns, "key", "shop", ttl(time.Hour))
	after := issued(t, d, key)
	end := after.Status.ExpiresAt.Time
	if end.Sub(after.Status.IssuedAt.Time) != time.Hour {
		t.Errorf("status %+v", after.Status)
	}
	result, err := d.once(t, key)
	if err != nil || result.RequeueAfter != end.Sub(d.clock.Now()) {
		t.Errorf("it is looked at again after %v (%v), want %v", result.RequeueAfter, err, end.Sub(d.clock.Now()))
	}
	d.clock.SetTime(end.Add(-time.Nanosecond))
	if after = d.settle(t, key); after.Status.State != v1alpha1.ReasonActive {
		t.Errorf("just before its end the state is %s", after.Status.State)
	}
	d.clock.SetTime(end)
	after = d.settle(t, key)
	active := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionActive)
	if after.Status.State != v1alpha1.ReasonExpired || reason(after) != v1alpha1.ReasonReconciled ||
		active.Status != metav1.ConditionFalse || !active.LastTransitionTime.Time.Equal(end) {
		t.Errorf("at its end: status %+v", after.Status)
	}
	if told := d.told(); len(told) != 1 {
		t.Errorf("Events %q", told)
	}
	change(t, key, func(k *v1alpha1.ApiKey) { ttl(2 * time.Hour)(&k.Spec) })
	if after = d.settle(t, key); after.Status.State != v1alpha1.ReasonActive {
		t.Errorf("after its end was put off: status %+v", after.Status)
	}
	oneKey(t, operator, key)
}

// Far ends are waited for in steps.
func TestAnEndIsNotWaitedForInOneGo(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	d := newDirect(operator)
	key := newKey(ns, "key", "shop", func(s *v1alpha1.ApiKeySpec) { s.ExpiresAt = &metav1.Time{Time: time.Now().AddDate(800, 0, 0)} })
	issued(t, d, key)
	if result, err := d.once(t, key); err != nil || result.RequeueAfter != 12*time.Hour {
		t.Errorf("it is looked at again after %v (%v)", result.RequeueAfter, err)
	}
}

func TestTheStateOfAKey(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	workspace := newWorkspace(ns, "shop")
	account := newAccount(ns, "robot", "shop")
	create(t, workspace)
	create(t, account)
	d := newDirect(operator)
	key := newKey(ns, "key", "shop", func(s *v1alpha1.ApiKeySpec) { s.ServiceAccountRef = &v1alpha1.LocalReference{Name: "robot"} })
	issued(t, d, key)
	before := versions(t, operator, key)
	is := func(when, state, ready string) {
		t.Helper()
		after := d.settle(t, key)
		active := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionActive)
		if after.Status.State != state || active.Reason != state || reason(after) != ready ||
			(active.Status == metav1.ConditionTrue) != (state == v1alpha1.ReasonActive) {
			t.Errorf("%s: status %+v", when, after.Status)
		}
	}
	is("at first", v1alpha1.ReasonActive, v1alpha1.ReasonReconciled)
	change(t, account, func(a *v1alpha1.ServiceAccount) { a.Spec.Suspended = true })
	is("with the account suspended", v1alpha1.ReasonServiceAccountSuspended, v1alpha1.ReasonReconciled)
	change(t, workspace, func(w *v1alpha1.Workspace) { w.Spec.Suspended = true })
	is("with the workspace suspended", v1alpha1.ReasonWorkspaceSuspended, v1alpha1.ReasonReconciled)
	change(t, key, func(k *v1alpha1.ApiKey) { k.Spec.State = v1alpha1.KeyDisabled })
	is("disabled", v1alpha1.ReasonDisabled, v1alpha1.ReasonReconciled)
	change(t, key, func(k *v1alpha1.ApiKey) { k.Spec.State = v1alpha1.KeyActive })
	change(t, workspace, func(w *v1alpha1.Workspace) { w.Spec.Suspended = false })
	change(t, account, func(a *v1alpha1.ServiceAccount) { a.Spec.Suspended = false })
	is("let work again", v1alpha1.ReasonActive, v1alpha1.ReasonReconciled)
	remove(t, account)
	is("without its account", v1alpha1.ReasonPending, v1alpha1.ReasonServiceAccountNotFound)
	remove(t, workspace)
	is("without its workspace", v1alpha1.ReasonPending, v1alpha1.ReasonWorkspaceNotFound)
	sameSecrets(t, operator, key, before)
	text := plaintext(delivered(t, key))
	change(t, key, func(k *v1alpha1.ApiKey) { k.Spec.State = v1alpha1.KeyRevoked })
	is("revoked", v1alpha1.ReasonRevoked, v1alpha1.ReasonReconciled)
	if plaintext(delivered(t, key)) != text {
		t.Error("revoking changed what is in the Secret")
	}

	never := newKey(ns, "never", "shop", func(s *v1alpha1.ApiKeySpec) { s.State = v1alpha1.KeyRevoked })
	create(t, never)
	if after := d.settle(t, never); after.Status.State != v1alpha1.ReasonRevoked || reason(after) != v1alpha1.ReasonReconciled || delivered(t, never) != nil {
		t.Errorf("revoked from the beginning: status %+v", after.Status)
	}
}

// Keys beyond a maximum wait, the issued ones and then the older ones come first.
func TestTooManyKeys(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	workspace := newWorkspace(ns, "shop", func(s *v1alpha1.WorkspaceSpec) { s.Keys.MaxKeys = ptr.To[int32](2) })
	create(t, workspace)
	create(t, newAccount(ns, "robot", "shop"))
	ofRobot := func(s *v1alpha1.ApiKeySpec) { s.ServiceAccountRef = &v1alpha1.LocalReference{Name: "robot"} }
	d := newDirect(operator)
	keys := []*v1alpha1.ApiKey{newKey(ns, "a", "shop", ofRobot), newKey(ns, "b", "shop", ofRobot), newKey(ns, "c", "shop"), newKey(ns, "d", "shop")}
	issued(t, d, keys[0])
	for _, key := range keys[1:] {
		create(t, key)
	}
	reasons := func(d *direct) (found [4]string) {
		for range 2 {
			for i, key := range keys {
				found[i] = reason(d.settle(t, key))
			}
		}
		return found
	}
	// b is the robot's second key; and of c and d, which may be of the same second, the one with
	// the lower UID comes first, once b, which was there first or not, has a place that it cannot take.
	count := 0
	for _, r := range reasons(d) {
		if r == v1alpha1.ReasonReconciled {
			count++
		}
	}
	if count > 2 || reason(fresh(t, keys[0])) != v1alpha1.ReasonReconciled || reason(fresh(t, keys[1])) != v1alpha1.ReasonTooManyKeys {
		t.Errorf("the maximum is 2, and %d were issued: %v", count, reasons(d))
	}
	if again := reasons(newDirect(operator)); again != reasons(d) {
		t.Errorf("a restart changed that to %v", again)
	}

	change(t, keys[0], func(k *v1alpha1.ApiKey) { k.Spec.State = v1alpha1.KeyRevoked })
	change(t, workspace, func(w *v1alpha1.Workspace) { w.Spec.Keys.MaxKeys = ptr.To[int32](3) })
	for i, r := range reasons(d) {
		if r != v1alpha1.ReasonReconciled {
			t.Errorf("with room for all of them, %s is %s", keys[i].Name, r)
		}
	}

	// A smaller number ends none, and a lost key keeps its place.
	change(t, workspace, func(w *v1alpha1.Workspace) { w.Spec.Keys.MaxKeys = ptr.To[int32](1) })
	remove(t, delivered(t, keys[1]))
	if got := reasons(d); got[1] != v1alpha1.ReasonReconciled || got[3] != v1alpha1.ReasonReconciled {
		t.Errorf("after the maximum was lowered: %v", got)
	}
}

// Two keys that are issued at the same moment do not take the same place, although no cache
// shows the one to the other.
func TestTwoKeysDoNotTakeOnePlace(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop", func(s *v1alpha1.WorkspaceSpec) { s.Keys.MaxKeys = ptr.To[int32](1) }))
	d := newDirect(operator)
	keys := []*v1alpha1.ApiKey{newKey(ns, "a", "shop"), newKey(ns, "b", "shop"), newKey(ns, "c", "shop")}
	for _, key := range keys {
		create(t, key)
	}
	done := make(chan error)
	for _, key := range keys {
		go func() {
			_, err := d.once(t, key)
			done <- err
		}()
	}
	for range keys {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	count := 0
	for _, key := range keys {
		if after := d.settle(t, key); after.Status.IssuedAt != nil && validation.Counts(after, d.clock.Now()) {
			count++
		}
	}
	if count != 1 {
		t.Errorf("%d keys were issued, and one may be", count)
	}
}
