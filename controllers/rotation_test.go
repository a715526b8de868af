package controllers_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/token"
)

func overlapping(every, overlap time.Duration) func(*v1alpha1.ApiKeySpec) {
	return func(s *v1alpha1.ApiKeySpec) {
		s.Rotation = &v1alpha1.Rotation{}
		if every > 0 {
			s.Rotation.Every = &metav1.Duration{Duration: every}
		}
		if overlap > 0 {
			s.Rotation.Overlap = &metav1.Duration{Duration: overlap}
		}
	}
}

// regenerate asks for another key.
func regenerate(t *testing.T, key *v1alpha1.ApiKey, value string) {
	t.Helper()
	change(t, key, func(k *v1alpha1.ApiKey) {
		if k.Annotations == nil {
			k.Annotations = map[string]string{}
		}
		k.Annotations[v1alpha1.AnnotationRegenerate] = value
	})
}

// generations are the credentials of an ApiKey by their generation.
func generations(t *testing.T, operator string, key *v1alpha1.ApiKey) map[int]credential.Credential {
	t.Helper()
	found := map[int]credential.Credential{}
	for _, secret := range hashes(t, operator, key) {
		c, err := credential.FromSecret(&secret)
		if err != nil {
			t.Fatal(err)
		}
		found[c.Generation] = c
	}
	return found
}

// holds checks that the delivered Secret holds the key of a generation.
func holds(t *testing.T, operator string, key *v1alpha1.ApiKey, generation int) {
	t.Helper()
	secret := delivered(t, key)
	parsed, err := token.Parse(plaintext(secret))
	if err != nil {
		t.Fatalf("the delivered Secret holds no key: %v", err)
	}
	if c, ok := generations(t, operator, key)[generation]; !ok || c.Hash != parsed.Hash() {
		t.Errorf("the delivered Secret does not hold the key of generation %d", generation)
	}
	if n, err := credential.Generation(secret.Annotations); err != nil || n != generation {
		t.Errorf("the delivered Secret says generation %d, %v", n, err)
	}
}

// noneStaged checks that nothing waits to be delivered any more.
func noneStaged(t *testing.T, key *v1alpha1.ApiKey) {
	t.Helper()
	if secret(t, key.Namespace, "claviger-staged-"+string(key.UID)) != nil {
		t.Error("a key is still staged")
	}
}

func TestARotationKeepsTheSecretAndTheKeyID(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	key := newKey(ns, "key", "shop", overlapping(24*time.Hour, time.Hour))
	create(t, key)
	d := newDirect(operator)
	d.settle(t, key)
	first, was := plaintext(delivered(t, key)), delivered(t, key)

	d.clock.SetTime(d.clock.Now().Add(24*time.Hour - time.Minute))
	if after := d.settle(t, key); after.Status.KeyGeneration != 1 || after.Status.Rotation.NextAt == nil {
		t.Fatalf("before its time: %+v", after.Status)
	}
	d.clock.SetTime(d.clock.Now().Add(2 * time.Minute))
	after := d.settle(t, key)
	is := delivered(t, key)
	if is.UID != was.UID || string(is.Data[v1alpha1.DataKeyKeyID]) != string(key.UID) || after.Status.KeyID != string(key.UID) {
		t.Error("the Secret or the key ID is another one")
	}
	if plaintext(is) == first || after.Status.KeyGeneration != 2 {
		t.Errorf("the key was not rotated: %+v", after.Status)
	}
	holds(t, operator, key, 2)
	noneStaged(t, key)
	old, ok := generations(t, operator, key)[1]
	if !ok || old.NotAfter == nil {
		t.Fatalf("the old key does not work on until the end of the overlap: %+v", old)
	}
	if previous := after.Status.Rotation.Previous; previous == nil || !previous.EndsAt.Time.Equal(*old.NotAfter) || previous.Hint != old.Hint {
		t.Errorf("the status tells %+v of the old key, which ends at %v", previous, old.NotAfter)
	}
	if told := d.told(); len(told) != 1 || !strings.Contains(told[0], "Rotated") {
		t.Errorf("Events %q", told)
	}
	if _, more := is.Data[v1alpha1.DataKeyPrevious]; more {
		t.Error("the old key is in the Secret, and nobody asked for that")
	}

	d.clock.SetTime(d.clock.Now().Add(time.Hour + time.Second))
	if after = d.settle(t, key); len(generations(t, operator, key)) != 1 || after.Status.Rotation.Previous != nil {
		t.Errorf("the overlap is over and %d keys are left: %+v", len(generations(t, operator, key)), after.Status.Rotation)
	}
	holds(t, operator, key, 2)
}

func TestRegeneratingWithoutAnOverlapEndsTheOldKeyAtOnce(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	key := newKey(ns, "key", "shop")
	key.Annotations = map[string]string{v1alpha1.AnnotationRegenerate: "as it came from Git"}
	create(t, key)
	d := newDirect(operator)
	d.settle(t, key)
	if c := oneKey(t, operator, key); c.Generation != 1 {
		t.Fatalf("a key with the annotation from the beginning is of generation %d", c.Generation)
	}
	regenerate(t, key, "once more")
	d.settle(t, key)
	if c := oneKey(t, operator, key); c.Generation != 2 {
		t.Errorf("generation %d", c.Generation)
	}
	// Neither a lost status nor a restart asks again, and the same value does not either.
	emptyStatus(t, key)
	before := versions(t, operator, key)
	newDirect(operator).settle(t, key)
	sameSecrets(t, operator, key, before)
	// Taking the annotation away asks for nothing.
	change(t, key, func(k *v1alpha1.ApiKey) { k.Annotations = nil })
	newDirect(operator).settle(t, key)
	sameSecrets(t, operator, key, before)
}

func TestTheReplacedKeyIsKeptBesideIfAsked(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	key := newKey(ns, "key", "shop", overlapping(0, time.Hour), func(s *v1alpha1.ApiKeySpec) { s.Rotation.KeepPrevious = true })
	create(t, key)
	d := newDirect(operator)
	d.settle(t, key)
	first := plaintext(delivered(t, key))
	regenerate(t, key, "1")
	d.settle(t, key)
	if got := string(delivered(t, key).Data[v1alpha1.DataKeyPrevious]); got != first {
		t.Error("the replaced key is not in the Secret")
	}
	d.clock.SetTime(d.clock.Now().Add(2 * time.Hour))
	d.settle(t, key)
	if _, more := delivered(t, key).Data[v1alpha1.DataKeyPrevious]; more {
		t.Error("the replaced key is still in the Secret though it does not work")
	}
	oneKey(t, operator, key)
}

func TestAnOverlapEndsEarlyOnlyOnceTheKeyIsKnownToBeUnused(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	key := newKey(ns, "key", "shop", overlapping(0, 24*time.Hour), func(s *v1alpha1.ApiKeySpec) {
		s.Rotation.EndWhenUnusedFor = &metav1.Duration{Duration: time.Hour}
	})
	create(t, key)
	d := newDirect(operator)
	known := time.Time{}
	d.UsageKnownUntil = func(string) time.Time { return known }
	d.settle(t, key)
	regenerate(t, key, "1")
	d.settle(t, key)
	start := d.clock.Now()
	both := func(when string) {
		t.Helper()
		d.settle(t, key)
		if n := len(generations(t, operator, key)); n != 2 {
			t.Fatalf("%s: %d keys work, want both", when, n)
		}
	}
	d.clock.SetTime(start.Add(3 * time.Hour))
	both("nobody knows of any usage")
	known = start.Add(59 * time.Minute)
	both("usage is known, but not for long enough")
	setUsage(t, key, start.Add(2*time.Hour))
	known = start.Add(3*time.Hour - time.Minute)
	both("it was used meanwhile")
	// Nothing tells that a key is not used, so it is looked at again.
	if result, err := d.once(t, key); err != nil || result.RequeueAfter == 0 || result.RequeueAfter > time.Minute {
		t.Errorf("looks again after %v, %v", result.RequeueAfter, err)
	}
	d.clock.SetTime(start.Add(3*time.Hour + 5*time.Minute))
	known = start.Add(3*time.Hour + 2*time.Minute)
	d.settle(t, key)
	oneKey(t, operator, key)
}

// setUsage says when the replaced key was last used, as the write-back does.
func setUsage(t *testing.T, key *v1alpha1.ApiKey, at time.Time) {
	t.Helper()
	is := fresh(t, key)
	before := is.DeepCopy()
	is.Status.Usage = &v1alpha1.KeyUsage{PreviousLastUsedAt: &metav1.Time{Time: at}}
	if err := admin.Status().Patch(t.Context(), is, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

func TestWhoStillUsesAReplacedKeyIsWarnedNearItsEnd(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	key := newKey(ns, "key", "shop", overlapping(0, 24*time.Hour))
	create(t, key)
	d := newDirect(operator)
	d.settle(t, key)
	regenerate(t, key, "1")
	d.settle(t, key)
	start := d.clock.Now()
	warned := func() bool {
		return meta.IsStatusConditionTrue(d.settle(t, key).Status.Conditions, v1alpha1.ConditionPreviousKeyInUse)
	}
	setUsage(t, key, start.Add(17*time.Hour))
	d.clock.SetTime(start.Add(17 * time.Hour))
	if warned() {
		t.Error("warned long before the end")
	}
	d.told()
	d.clock.SetTime(start.Add(19 * time.Hour))
	if !warned() {
		t.Error("not warned near the end")
	}
	if told := d.told(); len(told) != 1 || !strings.Contains(told[0], v1alpha1.ConditionPreviousKeyInUse) {
		t.Errorf("Events %q", told)
	}
	d.clock.SetTime(start.Add(25 * time.Hour))
	if warned() {
		t.Error("warned after the end")
	}
}

// A crash at whatever call of a rotation is resumed: one new key, the same Secret, and what was delivered
// works at every moment.
func TestACrashWhileAKeyIsRotated(t *testing.T) {
	for name, overlap := range map[string]time.Duration{"with an overlap": time.Hour, "without one": 0} {
		t.Run(name, func(t *testing.T) {
			operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
			create(t, newWorkspace(ns, "shop"))
			atEveryCall(t, func(t *testing.T, c *calls) bool {
				key := newKey(ns, "", "shop", overlapping(0, overlap))
				key.GenerateName = "key-"
				create(t, key)
				newDirect(operator).settle(t, key)
				old := oneKey(t, operator, key)
				regenerate(t, key, "1")

				victim := newDirect(operator)
				victim.Live, victim.Writer = counted{c, admin}, counted{c, admin}
				_, err := victim.once(t, key)
				if c.crashed() != (err != nil) {
					t.Fatalf("at call %d: crashed %v, error %v", c.limit, c.crashed(), err)
				}
				works := false
				parsed, err := token.Parse(plaintext(delivered(t, key)))
				for _, g := range generations(t, operator, key) {
					works = works || err == nil && g.Hash == parsed.Hash()
				}
				if !works {
					t.Errorf("at call %d: what is delivered does not work", c.limit)
				}
				staged := secret(t, key.Namespace, "claviger-staged-"+string(key.UID))

				after := newDirect(operator).settle(t, key)
				holds(t, operator, key, 2)
				noneStaged(t, key)
				found := generations(t, operator, key)
				if wanted := map[bool]int{true: 2, false: 1}[overlap > 0]; len(found) != wanted || after.Status.KeyGeneration != 2 {
					t.Errorf("at call %d: %d keys, want %d; %+v", c.limit, len(found), wanted, after.Status)
				}
				if staged != nil && plaintext(delivered(t, key)) != plaintext(staged) {
					t.Errorf("at call %d: another key was made than the one that was staged", c.limit)
				}
				if overlap > 0 && (found[1].Hash != old.Hash || found[1].NotAfter == nil) {
					t.Errorf("at call %d: the old key has become %+v", c.limit, found[1])
				}
				return c.crashed()
			})
		})
	}
}

// Caches that stopped before, during or after a rotation lead to no second one.
func TestStaleCachesNeverRotateTwice(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	key := newKey(ns, "key", "shop", overlapping(0, time.Hour))
	create(t, key)
	up := newDirect(operator)
	up.settle(t, key)
	before := stopCaches(t, newDirect(operator), key)
	regenerate(t, key, "1")
	asked := stopCaches(t, newDirect(operator), key)
	up.settle(t, key)
	made := versions(t, operator, key)
	for name, s := range map[string]*stale{"from before it was asked for": before, "from when it was asked for": asked} {
		t.Run(name, func(t *testing.T) {
			repeatedly(t, operator, key, s)
			sameSecrets(t, operator, key, made)
			noneStaged(t, key)
			holds(t, operator, key, 2)
		})
	}
}

// One operator stands still at each call of a rotation, another one does all of it, even once more, and
// then the first goes on where it stood: no key is made a second time, and what is delivered works.
func TestAnOperatorThatStoodStillMakesNoSecondKey(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	for limit := 0; ; limit++ {
		key := newKey(ns, fmt.Sprintf("key-%d", limit), "shop", overlapping(0, time.Hour))
		create(t, key)
		newDirect(operator).settle(t, key)
		regenerate(t, key, "1")

		frozen := newDirect(operator)
		meanwhile := func() { newDirect(operator).settle(t, key) }
		stops := &stopping{Client: admin, at: limit, meanwhile: meanwhile}
		frozen.Live, frozen.Writer = stops, stops
		frozen.once(t, key) //nolint:errcheck // it may well find that it was too late
		if !stops.stopped {
			if limit < 6 {
				t.Fatalf("a rotation made only %d calls", limit)
			}
			return
		}
		newDirect(operator).settle(t, key)
		noneStaged(t, key)
		holds(t, operator, key, 2)
		if found := generations(t, operator, key); len(found) != 2 {
			t.Errorf("at call %d: %d keys", limit, len(found))
		}
	}
}
