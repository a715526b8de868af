package controllers_test

import (
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

func lasting(ttl time.Duration) func(*v1alpha1.ApiKeySpec) {
	return func(s *v1alpha1.ApiKeySpec) { s.TTL = &metav1.Duration{Duration: ttl} }
}

func conditionReason(key *v1alpha1.ApiKey, kind string) string {
	if c := meta.FindStatusCondition(key.Status.Conditions, kind); c != nil && c.Status == metav1.ConditionTrue {
		return c.Reason
	}
	return ""
}

const day = 24 * time.Hour

func TestAKeyNearItsEndIsToldOfAtEachWarningTime(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	key := newKey(ns, "key", "shop", lasting(30*day))
	create(t, key)
	d := newDirect(operator)
	d.settle(t, key)
	start := d.clock.Now()
	for _, step := range []struct {
		after  time.Duration
		reason string
		events int
	}{
		{0, "", 0},
		{15 * day, "", 0},
		{16*day + time.Minute, "Within336h", 1},
		{20 * day, "Within336h", 0},
		{29*day + time.Minute, "Within24h", 1},
		{30*day + time.Minute, "", 1}, // it has expired, which is an Event of its own
	} {
		d.clock.SetTime(start.Add(step.after))
		after := d.settle(t, key)
		told := d.told()
		if got := conditionReason(after, v1alpha1.ConditionNearExpiry); got != step.reason || len(told) != step.events {
			t.Errorf("after %v: %q and Events %q", step.after, got, told)
		}
		if reason(after) != v1alpha1.ReasonReconciled {
			t.Errorf("after %v the key is not Ready: %s", step.after, reason(after))
		}
	}
}

func TestALookIsDueExactlyWhenSomethingChanges(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop", func(s *v1alpha1.WorkspaceSpec) { s.Keys.ExpiryWarnings = []v1alpha1.WarningTime{"2h"} }))
	key := newKey(ns, "key", "shop", lasting(10*time.Hour))
	create(t, key)
	d := newDirect(operator)
	d.settle(t, key)
	issued := oneKey(t, operator, key).IssuedAt
	for _, due := range []time.Duration{8 * time.Hour, 10 * time.Hour} {
		result, err := d.once(t, key)
		if want := issued.Add(due).Sub(d.clock.Now()); err != nil || result.RequeueAfter != want {
			t.Errorf("looks again after %v, want %v (%v)", result.RequeueAfter, want, err)
		}
		d.clock.SetTime(issued.Add(due))
		d.settle(t, key)
	}
	if result, err := d.once(t, key); err != nil || result.RequeueAfter != 0 {
		t.Errorf("nothing is to come, and it looks again after %v, %v", result.RequeueAfter, err)
	}
}

func TestAKeyThatIsRotatedInTimeIsNotNearItsEnd(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	key := newKey(ns, "key", "shop", lasting(10*day), overlapping(9*day, time.Hour))
	create(t, key)
	if after := newDirect(operator).settle(t, key); conditionReason(after, v1alpha1.ConditionNearExpiry) != "" {
		t.Error("it is told to be near its end")
	}
}

func TestAnUnusedKeyIsToldOfOnceUsageIsKnown(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop", func(s *v1alpha1.WorkspaceSpec) { s.Keys.UnusedAfter = &metav1.Duration{Duration: 30 * day} }))
	key := newKey(ns, "key", "shop")
	create(t, key)
	d := newDirect(operator)
	known := time.Time{}
	d.UsageKnownUntil = func(string) time.Time { return known }
	d.settle(t, key)
	start := d.clock.Now()
	d.clock.SetTime(start.Add(31 * day))
	if after := d.settle(t, key); conditionReason(after, v1alpha1.ConditionUnused) != "" {
		t.Error("it is told to be unused, and nobody knows")
	}
	known = d.clock.Now()
	if after := d.settle(t, key); conditionReason(after, v1alpha1.ConditionUnused) == "" {
		t.Error("it is not told to be unused")
	}
	is := fresh(t, key)
	before := is.DeepCopy()
	is.Status.Usage = &v1alpha1.KeyUsage{LastUsedAt: &metav1.Time{Time: d.clock.Now()}}
	if err := admin.Status().Patch(t.Context(), is, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	if after := d.settle(t, key); conditionReason(after, v1alpha1.ConditionUnused) != "" {
		t.Error("it was used, and is told to be unused")
	}
}

func TestAnExpiredKeyIsDeletedAfterItsRetention(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop", func(s *v1alpha1.WorkspaceSpec) { s.Keys.RetainExpired = &metav1.Duration{Duration: 2 * day} }))
	key := newKey(ns, "key", "shop", lasting(day))
	create(t, key)
	d := newDirect(operator)
	d.settle(t, key)
	d.clock.SetTime(d.clock.Now().Add(3*day - time.Hour))
	if after := d.settle(t, key); after.Status.State != v1alpha1.ReasonExpired {
		t.Fatal(after.Status.State)
	}
	d.clock.SetTime(d.clock.Now().Add(2 * time.Hour))
	if _, err := d.once(t, key); err != nil {
		t.Fatal(err)
	}
	if err := admin.Get(t.Context(), client.ObjectKeyFromObject(key), &v1alpha1.ApiKey{}); !apierrors.IsNotFound(err) {
		t.Errorf("it is still there: %v", err)
	}
}

// An expired key is renewed by asking for it, as a service account's token is after its year.
func TestAnExpiredKeyIsRenewed(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	key := newKey(ns, "key", "shop", lasting(day))
	create(t, key)
	d := newDirect(operator)
	d.settle(t, key)
	d.clock.SetTime(d.clock.Now().Add(2 * day))
	if after := d.settle(t, key); after.Status.State != v1alpha1.ReasonExpired {
		t.Fatal(after.Status.State)
	}
	regenerate(t, key, "1")
	after := d.settle(t, key)
	if after.Status.State != v1alpha1.ReasonActive || oneKey(t, operator, key).Generation != 2 {
		t.Errorf("%+v", after.Status)
	}
}

// verifiers is what is known of verifiers, for a test.
type verifiers struct {
	behind bool
	lags   []time.Duration
}

func (v *verifiers) Reached(string, string) (bool, int) { return !v.behind, 2 }

func (v *verifiers) RevocationSeen(lag time.Duration) { v.lags = append(v.lags, lag) }

func TestARevocationIsToldOnceEveryVerifierHasIt(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	key := newKey(ns, "key", "shop")
	create(t, key)
	d := newDirect(operator)
	away := &verifiers{behind: true}
	d.Propagation = away
	d.settle(t, key)
	change(t, key, func(k *v1alpha1.ApiKey) {
		k.Spec.State = v1alpha1.KeyRevoked
		k.Annotations = map[string]string{v1alpha1.AnnotationRevocationReason: "Leaked: found in a public repository"}
	})
	after := d.settle(t, key)
	if r := after.Status.Revocation; r == nil || r.RequestedAt == nil || r.PropagatedAt != nil {
		t.Fatalf("%+v", r)
	}
	if result, err := d.once(t, key); err != nil || result.RequeueAfter == 0 || result.RequeueAfter > time.Second {
		t.Errorf("looks again after %v, %v", result.RequeueAfter, err)
	}
	d.clock.SetTime(d.clock.Now().Add(3 * time.Second))
	away.behind = false
	after = d.settle(t, key)
	if r := after.Status.Revocation; r.PropagatedAt == nil || r.Verifiers != 2 || !strings.HasPrefix(r.Reason, v1alpha1.LeakedReason) {
		t.Errorf("%+v", r)
	}
	if len(away.lags) != 1 || away.lags[0] != 3*time.Second {
		t.Errorf("lags %v", away.lags)
	}
	if told := d.told(); len(told) != 1 || !strings.HasPrefix(told[0], "Warning KeyLeaked") {
		t.Errorf("Events %q", told)
	}
	if result, err := d.once(t, key); err != nil || result.RequeueAfter != 0 {
		t.Errorf("looks again after %v, %v", result.RequeueAfter, err)
	}
}

// What is delivered is known to the verifiers before, where the old key could be used meanwhile.
func TestARotatedKeyIsDeliveredOnceTheVerifiersKnowIt(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	key := newKey(ns, "key", "shop", overlapping(0, time.Hour))
	create(t, key)
	d := newDirect(operator)
	behind := &verifiers{behind: true}
	d.Propagation = behind
	d.settle(t, key)
	regenerate(t, key, "1")
	d.settle(t, key)
	holds(t, operator, key, 1)
	if found := generations(t, operator, key); len(found) != 2 {
		t.Fatalf("%d keys", len(found))
	}
	behind.behind = false
	d.settle(t, key)
	holds(t, operator, key, 2)
	noneStaged(t, key)

	// One that is away does not hold it up for long.
	behind.behind = true
	regenerate(t, key, "2")
	d.settle(t, key)
	holds(t, operator, key, 2)
	d.clock.SetTime(d.clock.Now().Add(time.Minute))
	d.settle(t, key)
	holds(t, operator, key, 3)
}
