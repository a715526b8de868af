package controllers_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/token"
)

// Whoever may write Secrets may not bring another ApiKey's key to life again by copying it, revoked or not.
func TestAnotherApiKeysKeyIsNotHashedASecondTime(t *testing.T) {
	operator, ns, evil := newNamespace(t, "operator"), newNamespace(t, "team"), newNamespace(t, "evil")
	create(t, newWorkspace(ns, "shop"))
	create(t, newWorkspace(evil, "shop"))
	for name, revoked := range map[string]bool{"a-revoked-one": true, "one-that-works": false} {
		t.Run(name, func(t *testing.T) {
			key, thief := newKey(ns, name, "shop"), newKey(evil, name, "shop", overlapping(0, time.Hour))
			create(t, key)
			create(t, thief)
			d := newDirect(operator)
			d.settle(t, key)
			d.settle(t, thief)
			text := plaintext(delivered(t, key))
			if revoked {
				change(t, key, func(k *v1alpha1.ApiKey) { k.Spec.State = v1alpha1.KeyRevoked })
				d.settle(t, key)
			}
			forge := func(s *corev1.Secret) {
				s.Data[v1alpha1.DataKeyApiKey] = []byte(text)
				s.Annotations[v1alpha1.AnnotationGeneration] = "2"
				s.Annotations["keys.claviger.dev/issued-at"] = "2001-01-01T00:00:00Z"
			}
			staged := delivered(t, thief).DeepCopy()
			staged.ObjectMeta = metav1.ObjectMeta{Namespace: evil, Name: "claviger-staged-" + string(thief.UID), Annotations: map[string]string{},
				Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.SecretStaged, v1alpha1.LabelApiKeyUID: string(thief.UID)}}
			forge(staged)
			create(t, staged)
			newDirect(operator).settle(t, thief)
			noneStaged(t, thief)
			change(t, delivered(t, thief), forge)
			if after := newDirect(operator).settle(t, thief); reason(after) != v1alpha1.ReasonSecretAltered {
				t.Error(reason(after))
			}
			for _, c := range generations(t, operator, thief) {
				if c.Hash == token.HashOf(text) {
					t.Error("the key is the thief's, too")
				}
			}
		})
	}
}

func TestATakenNameOfAStagedSecretIsTold(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	key := newKey(ns, "key", "shop", overlapping(0, time.Hour))
	create(t, key)
	newDirect(operator).settle(t, key)
	inTheWay := newSecret(ns, "claviger-staged-"+string(key.UID), "x")
	create(t, inTheWay)
	regenerate(t, key, "1")
	if after := newDirect(operator).settle(t, key); reason(after) != v1alpha1.ReasonSecretConflict {
		t.Error(reason(after))
	}
	remove(t, inTheWay)
	newDirect(operator).settle(t, key)
	holds(t, operator, key, 2)
}

func TestAKeyWithAFixedEndIsWarnedOfAndNotRotatedBeyondIt(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop", func(s *v1alpha1.WorkspaceSpec) { s.Keys.RetainExpired = &metav1.Duration{Duration: day} }))
	d := newDirect(operator)
	key := newKey(ns, "key", "shop", overlapping(3*day, time.Hour), func(s *v1alpha1.ApiKeySpec) {
		s.ExpiresAt = &metav1.Time{Time: d.clock.Now().Add(10 * day)}
	})
	create(t, key)
	start := d.clock.Now()
	if after := d.settle(t, key); conditionReason(after, v1alpha1.ConditionNearExpiry) == "" {
		t.Error("nothing warns of an end that no rotation moves")
	}
	d.clock.SetTime(start.Add(10*day + time.Hour))
	after := d.settle(t, key)
	if after.Status.State != v1alpha1.ReasonExpired || isStalled(after) {
		t.Errorf("%s, %s", after.Status.State, reason(after))
	}
	d.clock.SetTime(start.Add(12 * day))
	d.once(t, key) //nolint:errcheck // see below
	if exists(t, key) {
		t.Error("it is kept though its retention is over")
	}
}

// Somebody's key leaked: the overlap is taken away and another key asked for. That the other cannot be made keeps
// nothing alive.
func TestARefusedRenewalKeepsNoReplacedKeyAlive(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	shop := newWorkspace(ns, "shop")
	create(t, shop)
	key := newKey(ns, "key", "shop", overlapping(0, 100*time.Hour))
	create(t, key)
	newDirect(operator).settle(t, key)
	regenerate(t, key, "1")
	newDirect(operator).settle(t, key)
	change(t, shop, func(w *v1alpha1.Workspace) { w.Spec.Keys.MaxTTL = &metav1.Duration{Duration: time.Hour} })
	change(t, key, func(k *v1alpha1.ApiKey) { k.Spec.Rotation = nil })
	regenerate(t, key, "2")
	after := newDirect(operator).settle(t, key)
	if found := generations(t, operator, key); len(found) != 1 || found[2].Generation != 2 || reason(after) != v1alpha1.ReasonInvalidSpec {
		t.Errorf("%d keys, %s", len(found), reason(after))
	}
}

func TestARevokedKeyIsNotAdoptedAgain(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	retain := func(s *v1alpha1.ApiKeySpec) { s.Delivery.DeletionPolicy = v1alpha1.DeletionRetain }
	key := newKey(ns, "key", "shop", adopting, retain)
	create(t, key)
	d := newDirect(operator)
	d.settle(t, key)
	change(t, key, func(k *v1alpha1.ApiKey) { k.Spec.State = v1alpha1.KeyRevoked })
	d.settle(t, key)
	remove(t, key)
	newDirect(operator).once(t, key) //nolint:errcheck // its hash goes
	again := newKey(ns, "key", "shop", adopting, retain)
	create(t, again)
	if after := newDirect(operator).settle(t, again); reason(after) != v1alpha1.ReasonSecretConflict || len(hashes(t, operator, again)) != 0 {
		t.Errorf("%s, %d hashes", reason(after), len(hashes(t, operator, again)))
	}
}

// A cache of before the account had a token ends none.
func TestATokenIsNotEndedByAStaleCache(t *testing.T) {
	ns := newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	account := newAccount(ns, "robot", "shop", withToken)
	create(t, account)
	newKeeping().settle(t, account)
	k := newKeeping()
	k.Cached = tokenless{k.Cached}
	k.once(t, account) //nolint:errcheck // what matters is what is done
	if tokenOf(t, account) == nil {
		t.Error("the token is gone")
	}
}

func TestAReplacedKeyIsTakenOutOfTheSecretWhenItIsNotWantedThere(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	key := newKey(ns, "key", "shop", overlapping(0, time.Hour), func(s *v1alpha1.ApiKeySpec) { s.Rotation.KeepPrevious = true })
	create(t, key)
	newDirect(operator).settle(t, key)
	regenerate(t, key, "1")
	newDirect(operator).settle(t, key)
	change(t, key, func(k *v1alpha1.ApiKey) { k.Spec.Rotation.KeepPrevious = false })
	newDirect(operator).settle(t, key)
	if _, is := delivered(t, key).Data[v1alpha1.DataKeyPrevious]; is {
		t.Error("the replaced key is still in the Secret")
	}
	if found := generations(t, operator, key); len(found) != 2 {
		t.Errorf("%d keys work, want both", len(found))
	}
}

// An account's expired token stays, where other keys go: the account would have it made again.
func TestAnExpiredTokenIsNotMadeAnew(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop", func(s *v1alpha1.WorkspaceSpec) { s.Keys.RetainExpired = &metav1.Duration{Duration: time.Hour} }))
	account := newAccount(ns, "robot", "shop", func(s *v1alpha1.ServiceAccountSpec) {
		s.Token = &v1alpha1.AccountToken{TTL: &metav1.Duration{Duration: time.Hour}}
	})
	create(t, account)
	newKeeping().settle(t, account)
	d, is := newDirect(operator), tokenOf(t, account)
	d.settle(t, is)
	d.clock.SetTime(d.clock.Now().Add(3 * time.Hour))
	if after := d.settle(t, is); after.Status.State != v1alpha1.ReasonExpired {
		t.Error(after.Status.State)
	}
}

// A first use takes the advice back that nobody uses a key.
func TestTheAdviceThatAKeyIsUnusedOutlivesAFeedThatIsAway(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop", func(s *v1alpha1.WorkspaceSpec) { s.Keys.UnusedAfter = &metav1.Duration{Duration: day} }))
	key := newKey(ns, "key", "shop")
	create(t, key)
	d := newDirect(operator)
	d.clock.SetTime(d.clock.Now().Add(2 * day))
	known := d.clock.Now()
	d.UsageKnownUntil = func(string) time.Time { return known }
	d.settle(t, key)
	d.clock.SetTime(d.clock.Now().Add(2 * day))
	known = d.clock.Now()
	d.settle(t, key)
	if conditionReason(fresh(t, key), v1alpha1.ConditionUnused) == "" {
		t.Fatal("it is not told to be unused")
	}
	known = time.Time{}
	d.told()
	if after := d.settle(t, key); conditionReason(after, v1alpha1.ConditionUnused) == "" || len(d.told()) != 0 {
		t.Error("the advice is taken back because usage cannot be read")
	}
	if result, err := d.once(t, key); err != nil || result.RequeueAfter > time.Minute && result.RequeueAfter != 0 {
		t.Errorf("%v, %v", result, err)
	}
}
