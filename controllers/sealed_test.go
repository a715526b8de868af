package controllers_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/token"
)

func newIdentity(t *testing.T) *age.X25519Identity {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

func sealedTo(identities ...*age.X25519Identity) func(*v1alpha1.ApiKeySpec) {
	return func(s *v1alpha1.ApiKeySpec) {
		s.Delivery.Type = v1alpha1.DeliverySealed
		s.Delivery.Recipients = nil
		for _, identity := range identities {
			s.Delivery.Recipients = append(s.Delivery.Recipients, v1alpha1.Recipient(identity.Recipient().String()))
		}
	}
}

// unseal reads a sealed key as its recipient does.
func unseal(t *testing.T, key *v1alpha1.ApiKey, identity age.Identity) (token.Token, error) {
	t.Helper()
	if key.Status.Sealed == nil {
		t.Fatalf("nothing is sealed: %+v", key.Status)
	}
	plain, err := age.Decrypt(armor.NewReader(strings.NewReader(key.Status.Sealed.Ciphertext)), identity)
	if err != nil {
		return token.Token{}, err
	}
	text, err := io.ReadAll(plain)
	if err != nil {
		return token.Token{}, err
	}
	return token.Parse(string(text))
}

// oneSealed checks that a key has one hash, that of what is sealed, and is in no Secret.
func oneSealed(t *testing.T, operator string, key *v1alpha1.ApiKey, identity age.Identity, generation int) token.Token {
	t.Helper()
	found := generations(t, operator, key)
	opened, err := unseal(t, key, identity)
	if err != nil {
		t.Fatalf("the recipient cannot read the key: %v", err)
	}
	if len(found) != 1 || found[generation].Hash != opened.Hash() || key.Status.Hint != opened.Hint() {
		t.Fatalf("%d keys, and what is sealed is not generation %d", len(found), generation)
	}
	var secrets corev1.SecretList
	if err := admin.List(t.Context(), &secrets, client.InNamespace(key.Namespace)); err != nil {
		t.Fatal(err)
	}
	for _, s := range secrets.Items {
		if strings.Contains(s.Name, key.Name) || strings.Contains(s.Name, string(key.UID)) {
			t.Errorf("there is a Secret %s of a sealed key", s.Name)
		}
	}
	return opened
}

func TestASealedKeyIsReadByItsRecipientsAndNobodyElse(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	one, other, third := newIdentity(t), newIdentity(t), newIdentity(t)
	key := newKey(ns, "key", "shop", sealedTo(one, other))
	create(t, key)
	d := newDirect(operator)
	after := d.settle(t, key)
	first := oneSealed(t, operator, after, one, 1)
	if second, err := unseal(t, after, other); err != nil || second.Hash() != first.Hash() {
		t.Errorf("the second recipient reads something else: %v", err)
	}
	if _, err := unseal(t, after, third); err == nil {
		t.Error("somebody else can read the key")
	}
	if after.Status.SecretName != "" || reason(after) != v1alpha1.ReasonReconciled || after.Status.State != v1alpha1.ReasonActive {
		t.Errorf("status %+v", after.Status)
	}
	if d.calls.writes != 2 {
		t.Errorf("a sealed key cost %d writes, want its hash and its status", d.calls.writes)
	}

	// What was sealed comes back to a status that was lost, and no other key is made.
	before := after.Status.Sealed.Ciphertext
	emptyStatus(t, key)
	if after = newDirect(operator).settle(t, key); after.Status.Sealed.Ciphertext != before {
		t.Error("a lost status does not get back what was sealed")
	}

	// Other recipients are for the next key.
	change(t, key, func(k *v1alpha1.ApiKey) { sealedTo(third)(&k.Spec) })
	after = newDirect(operator).settle(t, key)
	oneSealed(t, operator, after, one, 1)
	if !strings.Contains(readyMessage(after), "regenerate it") {
		t.Errorf("Ready says %q", readyMessage(after))
	}
	regenerate(t, key, "1")
	after = newDirect(operator).settle(t, key)
	if renewed := oneSealed(t, operator, after, third, 2); renewed.Hash() == first.Hash() {
		t.Error("the same key was sealed again")
	}
	if _, err := unseal(t, after, one); err == nil {
		t.Error("the recipient of before can read the new key")
	}
}

func TestASealedKeyIsRotatedWithAnOverlap(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	identity := newIdentity(t)
	key := newKey(ns, "key", "shop", sealedTo(identity), overlapping(24*time.Hour, time.Hour))
	create(t, key)
	d := newDirect(operator)
	d.settle(t, key)
	d.clock.SetTime(d.clock.Now().Add(24 * time.Hour))
	after := d.settle(t, key)
	found := generations(t, operator, key)
	if len(found) != 2 || found[1].NotAfter == nil || after.Status.KeyGeneration != 2 || after.Status.Rotation.Previous == nil {
		t.Fatalf("%d keys; %+v", len(found), after.Status)
	}
	d.clock.SetTime(d.clock.Now().Add(time.Hour + time.Second))
	oneSealed(t, operator, d.settle(t, key), identity, 2)
}

func TestACrashWhileAKeyIsSealed(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	identity := newIdentity(t)
	for name, renewed := range map[string]bool{"the first": false, "the next": true} {
		t.Run(name, func(t *testing.T) {
			atEveryCall(t, func(t *testing.T, c *calls) bool {
				key := newKey(ns, "", "shop", sealedTo(identity))
				key.GenerateName = "key-"
				create(t, key)
				generation := 1
				if renewed {
					newDirect(operator).settle(t, key)
					regenerate(t, key, "1")
					generation = 2
				}
				victim := newDirect(operator)
				victim.Live, victim.Writer = counted{c, admin}, counted{c, admin}
				_, err := victim.once(t, key)
				if c.crashed() != (err != nil) {
					t.Fatalf("at call %d: crashed %v, error %v", c.limit, c.crashed(), err)
				}
				hashed, exists := generations(t, operator, key)[generation]
				opened := oneSealed(t, operator, newDirect(operator).settle(t, key), identity, generation)
				if exists && opened.Hash() != hashed.Hash {
					t.Errorf("at call %d: another key was sealed than the one that worked", c.limit)
				}
				return c.crashed()
			})
		})
	}
}

func TestALostSealedKey(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	identity := newIdentity(t)
	for loss, wanted := range map[v1alpha1.OnLoss]string{
		v1alpha1.OnLossRotate: v1alpha1.ReasonReconciled, v1alpha1.OnLossFail: v1alpha1.ReasonSecretLost,
	} {
		key := newKey(ns, strings.ToLower(string(loss)), "shop", sealedTo(identity), func(s *v1alpha1.ApiKeySpec) { s.Delivery.OnLoss = loss })
		create(t, key)
		newDirect(operator).settle(t, key)
		for _, h := range hashes(t, operator, key) {
			remove(t, &h)
		}
		after := newDirect(operator).settle(t, key)
		if reason(after) != wanted || (len(hashes(t, operator, key)) == 1) != (loss == v1alpha1.OnLossRotate) {
			t.Errorf("%s: %s, %d hashes", loss, reason(after), len(hashes(t, operator, key)))
		}
	}
}

func TestAnExpiredSealedKeyThatIsLostIsNotReplaced(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	key := newKey(ns, "key", "shop", sealedTo(newIdentity(t)), lasting(day))
	create(t, key)
	d := newDirect(operator)
	d.settle(t, key)
	d.clock.SetTime(d.clock.Now().Add(2 * day))
	d.settle(t, key)
	for _, h := range hashes(t, operator, key) {
		remove(t, &h)
	}
	if d.settle(t, key); len(hashes(t, operator, key)) != 0 {
		t.Error("an expired key has a successor that nobody asked for")
	}
}
