package controllers_test

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers/serviceaccount"
)

func withToken(s *v1alpha1.ServiceAccountSpec) { s.Token = &v1alpha1.AccountToken{} }

// keeping is an operator that keeps accounts' tokens, driven by hand.
type keeping struct {
	*serviceaccount.Reconciler
	calls *calls
}

func newKeeping() *keeping {
	c := &calls{limit: -1}
	return &keeping{&serviceaccount.Reconciler{
		Cached: newDirect("").Cached, Live: counted{c, admin}, Writer: counted{c, admin}, Clock: clocktesting.NewFakePassiveClock(time.Now()),
	}, c}
}

func (k *keeping) once(t *testing.T, account *v1alpha1.ServiceAccount) error {
	t.Helper()
	_, err := k.Reconcile(t.Context(), reconcile.Request{NamespacedName: client.ObjectKeyFromObject(account)})
	return err
}

func (k *keeping) settle(t *testing.T, account *v1alpha1.ServiceAccount) *v1alpha1.ServiceAccount {
	t.Helper()
	for range 3 {
		if err := k.once(t, account); err != nil {
			t.Fatal(err)
		}
	}
	is := &v1alpha1.ServiceAccount{}
	if err := admin.Get(t.Context(), client.ObjectKeyFromObject(account), is); err != nil {
		t.Fatal(err)
	}
	return is
}

// tokenOf is the ApiKey of an account's token; nil: there is none.
func tokenOf(t *testing.T, account *v1alpha1.ServiceAccount) *v1alpha1.ApiKey {
	t.Helper()
	key := &v1alpha1.ApiKey{}
	if err := admin.Get(t.Context(), client.ObjectKeyFromObject(account), key); client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	if key.UID == "" {
		return nil
	}
	return key
}

func TestAnAccountHasATokenForAYear(t *testing.T) {
	ns := newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	account := newAccount(ns, "robot", "shop", withToken, func(s *v1alpha1.ServiceAccountSpec) {
		s.DisplayName, s.Scopes = "Robot", []v1alpha1.Scope{"orders:read", "orders:create"}
		s.Grants = []v1alpha1.Grant{{Resource: "property/1", Scopes: []v1alpha1.Scope{"orders:read"}}}
	})
	create(t, account)
	k := newKeeping()
	is := k.settle(t, account)
	token := tokenOf(t, account)
	if token == nil || !metav1.IsControlledBy(token, account) || is.Status.Token == nil || is.Status.Token.ApiKeyName != "robot" {
		t.Fatalf("%+v, %+v", token, is.Status)
	}
	if token.Spec.TTL.Duration != 8760*time.Hour || len(token.Spec.Scopes) != 2 || len(token.Spec.Grants) != 1 || token.Spec.ServiceAccountRef.Name != "robot" {
		t.Errorf("%+v", token.Spec)
	}
	before := k.calls.writes
	k.settle(t, account)
	if k.calls.writes != before {
		t.Errorf("looking again made %d writes", k.calls.writes-before)
	}

	// The ceiling goes down, and what people changed is put back; what they added is theirs.
	change(t, account, func(a *v1alpha1.ServiceAccount) { a.Spec.Scopes, a.Spec.Grants = a.Spec.Scopes[:1], nil })
	change(t, token, func(k *v1alpha1.ApiKey) {
		k.Spec.TTL = &metav1.Duration{Duration: time.Hour}
		k.Spec.AllowedCIDRs = []v1alpha1.CIDR{"10.0.0.0/8"}
	})
	k.settle(t, account)
	if token = tokenOf(t, account); len(token.Spec.Scopes) != 1 || len(token.Spec.Grants) != 0 || token.Spec.TTL.Duration != 8760*time.Hour || len(token.Spec.AllowedCIDRs) != 1 {
		t.Errorf("%+v", token.Spec)
	}

	change(t, account, func(a *v1alpha1.ServiceAccount) { a.Spec.Token = nil })
	if is = k.settle(t, account); tokenOf(t, account) != nil || is.Status.Token != nil {
		t.Error("the account still has a token")
	}
}

func TestRenewingATokenEndsTheOldOneAtOnce(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	account := newAccount(ns, "robot", "shop", withToken)
	account.Annotations = map[string]string{v1alpha1.AnnotationRegenerate: "in Git"}
	create(t, account)
	k, d := newKeeping(), newDirect(operator)
	k.settle(t, account)
	token := tokenOf(t, account)
	d.settle(t, token)
	if c := oneKey(t, operator, token); c.Generation != 1 {
		t.Fatalf("generation %d", c.Generation)
	}
	change(t, account, func(a *v1alpha1.ServiceAccount) { a.Annotations[v1alpha1.AnnotationRegenerate] = "renewed" })
	k.settle(t, account)
	d.settle(t, token)
	if c := oneKey(t, operator, token); c.Generation != 2 {
		t.Errorf("generation %d", c.Generation)
	}
	// Somebody regenerates the ApiKey itself: the account's older wish does not come on top.
	regenerate(t, token, "by hand")
	k.settle(t, account)
	d.settle(t, token)
	k.settle(t, account)
	d.settle(t, token)
	if c := oneKey(t, operator, token); c.Generation != 3 {
		t.Errorf("generation %d", c.Generation)
	}
}

func TestSomebodyElsesApiKeyIsNoToken(t *testing.T) {
	ns := newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	key, account := newKey(ns, "robot", "shop"), newAccount(ns, "robot", "shop", withToken)
	create(t, key)
	create(t, account)
	is := newKeeping().settle(t, account)
	ready := meta.FindStatusCondition(is.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Reason != v1alpha1.ReasonTokenConflict || !meta.IsStatusConditionTrue(is.Status.Conditions, v1alpha1.ConditionStalled) {
		t.Errorf("%+v", is.Status.Conditions)
	}
	if found := fresh(t, key); found.ResourceVersion != key.ResourceVersion {
		t.Error("somebody else's ApiKey was changed")
	}
}

// An operator stands still before each of its calls while another goes on and the account changes again: what it
// does when it wakes makes no second token and undoes nothing.
func TestAnOperatorThatStoodStillUndoesNoRenewal(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	for limit := 0; ; limit++ {
		account := newAccount(ns, "", "shop", withToken)
		account.GenerateName = "robot-"
		create(t, account)
		d := newDirect(operator)
		renew := func(value string) {
			change(t, account, func(a *v1alpha1.ServiceAccount) {
				a.Annotations = map[string]string{v1alpha1.AnnotationRegenerate: value}
			})
		}
		newKeeping().settle(t, account)
		d.settle(t, tokenOf(t, account))
		renew("1")
		stops := &stopping{Client: admin, at: limit, meanwhile: func() {
			newKeeping().settle(t, account)
			d.settle(t, tokenOf(t, account))
			renew("2")
			newKeeping().settle(t, account)
			d.settle(t, tokenOf(t, account))
		}}
		frozen := newKeeping()
		frozen.Live, frozen.Writer = stops, stops
		frozen.once(t, account) //nolint:errcheck // it may well find that it was too late
		if !stops.stopped {
			if limit < 3 {
				t.Fatalf("a renewal made only %d calls", limit)
			}
			return
		}
		newKeeping().settle(t, account)
		d.settle(t, tokenOf(t, account))
		if c := oneKey(t, operator, tokenOf(t, account)); c.Generation != 3 {
			t.Errorf("at call %d: generation %d, want 3", limit, c.Generation)
		}
	}
}

// The operator of the tests above watches nothing; this one does.
func TestAnOperatorKeepsTokens(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	start(t, operator, ns)
	create(t, newWorkspace(ns, "shop"))
	account := newAccount(ns, "robot", "shop", withToken)
	create(t, account)
	key := newKey(ns, "robot", "shop")
	awaitToken := func(generation int32) {
		t.Helper()
		eventually(t, func() string {
			if token := tokenOf(t, account); token == nil || token.Status.KeyGeneration != generation {
				return "the token is not made"
			}
			return ""
		})
	}
	awaitToken(1)
	change(t, account, func(a *v1alpha1.ServiceAccount) {
		a.Annotations = map[string]string{v1alpha1.AnnotationRegenerate: "1"}
	})
	awaitToken(2)
	oneKey(t, operator, fresh(t, key))
	change(t, key, func(k *v1alpha1.ApiKey) { k.Spec.Scopes = nil })
	eventually(t, func() string {
		if token := tokenOf(t, account); len(token.Spec.Scopes) != 1 {
			return "what was changed is not put back"
		}
		return ""
	})
	remove(t, account)
	eventually(t, func() string {
		if tokenOf(t, account) != nil {
			return "the token outlives its account"
		}
		return ""
	})
}
