package controllers_test

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/token"
)

func made(t *testing.T) token.Token {
	t.Helper()
	key, err := token.New("ak", "live")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func fromHash(key token.Token, hint string) func(*v1alpha1.ApiKeySpec) {
	hash := key.Hash()
	return func(s *v1alpha1.ApiKeySpec) {
		s.Source = &v1alpha1.Source{SHA256: hex.EncodeToString(hash[:]), Hint: hint}
	}
}

func fromSecret(name string) func(*v1alpha1.ApiKeySpec) {
	return func(s *v1alpha1.ApiKeySpec) {
		s.Source = &v1alpha1.Source{SecretRef: &v1alpha1.SecretKeyReference{Name: name}}
	}
}

func newSecret(namespace, name, text string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string][]byte{"api-key": []byte(text)}}
}

const foreignKey = "AKIDz8krbsJ5yKBZQpn74WFkmLPx3gwP"

func TestAKeyIsBroughtAlongFromASecretThatIsLeftAlone(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	for name, c := range map[string]struct {
		text   string
		legacy bool
	}{"ours": {made(t).Reveal(), false}, "theirs": {foreignKey, true}} {
		t.Run(name, func(t *testing.T) {
			source := newSecret(ns, name+"-source", c.text)
			create(t, source)
			key := newKey(ns, name, "shop", fromSecret(source.Name))
			create(t, key)
			after := newDirect(operator).settle(t, key)
			found := generations(t, operator, key)
			if len(found) != 1 || found[1].Hash != token.HashOf(c.text) || found[1].Foreign != c.legacy {
				t.Fatalf("what is kept of the key: %+v", found)
			}
			if after.Status.Legacy != c.legacy || after.Status.State != v1alpha1.ReasonActive || after.Status.SecretName != source.Name {
				t.Errorf("status %+v", after.Status)
			}
			if !strings.HasSuffix(after.Status.Hint, c.text[len(c.text)-4:]) {
				t.Errorf("hint %q", after.Status.Hint)
			}
			if is := secret(t, ns, source.Name); is.ResourceVersion != source.ResourceVersion {
				t.Error("the Secret was changed")
			}
			if secret(t, ns, key.Name) != nil {
				t.Error("a Secret was delivered for a key that is there already")
			}
		})
	}
}

func TestAKeyIsKnownByItsHashAloneAndInEveryCluster(t *testing.T) {
	operator, ns, elsewhere := newNamespace(t, "operator"), newNamespace(t, "team"), newNamespace(t, "other-operator")
	create(t, newWorkspace(ns, "shop"))
	plain := made(t)
	key := newKey(ns, "key", "shop", fromHash(plain, plain.Hint()))
	create(t, key)
	for _, o := range []string{operator, elsewhere} {
		after := newDirect(o).settle(t, key)
		if found := generations(t, o, key); len(found) != 1 || found[1].Hash != plain.Hash() || after.Status.Legacy || after.Status.Hint != plain.Hint() {
			t.Errorf("%+v, %+v", found, after.Status)
		}
	}
	// Without a hint nobody knows its format.
	legacy := newKey(ns, "legacy", "shop", fromHash(made(t), ""))
	create(t, legacy)
	if after := newDirect(operator).settle(t, legacy); !after.Status.Legacy || after.Status.Hint != "" {
		t.Errorf("%+v", after.Status)
	}
}

func TestAnotherSourceIsARotation(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	source := newSecret(ns, "source", foreignKey)
	create(t, source)
	key := newKey(ns, "key", "shop", fromSecret("source"), overlapping(0, time.Hour))
	create(t, key)
	d := newDirect(operator)
	d.settle(t, key)
	next := made(t)
	change(t, source, func(s *corev1.Secret) { s.Data["api-key"] = []byte(next.Reveal()) })
	d.settle(t, key)
	found := generations(t, operator, key)
	if len(found) != 2 || found[2].Hash != next.Hash() || found[1].NotAfter == nil {
		t.Fatalf("%+v", found)
	}
	// And back: the same key twice would end with the one that was replaced.
	change(t, source, func(s *corev1.Secret) { s.Data["api-key"] = []byte(foreignKey) })
	d.settle(t, key)
	found = generations(t, operator, key)
	if _, again := found[1]; again || found[3].Hash != token.HashOf(foreignKey) || found[3].NotAfter != nil {
		t.Errorf("%+v", found)
	}
	// A source that is gone ends no key.
	remove(t, source)
	after := d.settle(t, key)
	if reason(after) != v1alpha1.ReasonSourceNotFound || after.Status.State != v1alpha1.ReasonActive {
		t.Errorf("%s, %s", reason(after), after.Status.State)
	}
}

func TestWhatIsNoKeyIsNotBroughtAlong(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	for name, c := range map[string]struct{ text, want string }{
		"missing": {"", v1alpha1.ReasonSourceNotFound},
		"words":   {"correct horse battery staple", v1alpha1.ReasonWeakKey},
		"short":   {"hunter2", v1alpha1.ReasonWeakKey},
		"ended":   {foreignKey + "\n", v1alpha1.ReasonWeakKey},
		"long":    {strings.Repeat(foreignKey, 17), v1alpha1.ReasonWeakKey},
	} {
		t.Run(name, func(t *testing.T) {
			create(t, newSecret(ns, name+"-source", c.text))
			key := newKey(ns, name, "shop", fromSecret(name+"-source"))
			create(t, key)
			after := newDirect(operator).settle(t, key)
			if reason(after) != c.want || len(hashes(t, operator, key)) != 0 || after.Status.State != v1alpha1.ReasonPending {
				t.Errorf("%s, %d hashes, %s", reason(after), len(hashes(t, operator, key)), after.Status.State)
			}
			if c.text != "" && strings.Contains(readyMessage(after), c.text) {
				t.Error("the message shows the key")
			}
		})
	}
}

func TestTheSecondApiKeyWithTheSameKeyDoesWithout(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	plain := made(t)
	first, second := newKey(ns, "first", "shop", fromHash(plain, "")), newKey(ns, "second", "shop", fromHash(plain, ""))
	create(t, first)
	create(t, second)
	newDirect(operator).settle(t, first)
	after := newDirect(operator).settle(t, second)
	if reason(after) != v1alpha1.ReasonDuplicateKey || !isStalled(after) || len(hashes(t, operator, second)) != 0 {
		t.Errorf("%s, %d hashes", reason(after), len(hashes(t, operator, second)))
	}
	if is := newDirect(operator).settle(t, first); is.Status.State != v1alpha1.ReasonActive || reason(is) != v1alpha1.ReasonReconciled {
		t.Errorf("the first has become %s, %s", is.Status.State, reason(is))
	}
	remove(t, first)
	newDirect(operator).once(t, first) //nolint:errcheck // its hash goes
	if after = newDirect(operator).settle(t, second); reason(after) != v1alpha1.ReasonReconciled || len(hashes(t, operator, second)) != 1 {
		t.Errorf("alone it is %s, with %d hashes", reason(after), len(hashes(t, operator, second)))
	}
}

// A delivered key may not be brought along beside: it is known already.
func TestADeliveredKeyIsNotBroughtAlongASecondTime(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	first, second := newKey(ns, "first", "shop"), newKey(ns, "second", "shop", fromSecret("first"))
	create(t, first)
	newDirect(operator).settle(t, first)
	create(t, second)
	if after := newDirect(operator).settle(t, second); reason(after) != v1alpha1.ReasonDuplicateKey {
		t.Error(reason(after))
	}
}
