package controllers_test

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/token"
)

func TestADeliveredSecretThatSomebodyChangedIsLeftAlone(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	another, err := token.New("ak", "live")
	if err != nil {
		t.Fatal(err)
	}
	for name, alter := range map[string]func(*corev1.Secret){
		"another-key":         func(s *corev1.Secret) { s.Data[v1alpha1.DataKeyApiKey] = []byte(another.Reveal()) },
		"no-key":              func(s *corev1.Secret) { s.Data[v1alpha1.DataKeyApiKey] = []byte("mine") },
		"nothing":             func(s *corev1.Secret) { s.Data = nil },
		"no-generation":       func(s *corev1.Secret) { delete(s.Annotations, v1alpha1.AnnotationGeneration) },
		"the-next-generation": func(s *corev1.Secret) { s.Annotations[v1alpha1.AnnotationGeneration] = "2" },
		"a-far-generation": func(s *corev1.Secret) {
			s.Data[v1alpha1.DataKeyApiKey] = []byte(another.Reveal())
			s.Annotations[v1alpha1.AnnotationGeneration] = "7"
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDirect(operator)
			key := newKey(ns, name, "shop")
			issued(t, d, key)
			hash := hashes(t, operator, key)[0]
			altered := delivered(t, key)
			change(t, altered, alter)
			after := d.settle(t, key)
			if reason(after) != v1alpha1.ReasonSecretAltered || !isStalled(after) || after.Status.State != v1alpha1.ReasonActive {
				t.Errorf("status %+v", after.Status)
			}
			if got := delivered(t, key); got.ResourceVersion != altered.ResourceVersion {
				t.Error("the Secret was written to")
			}
			if got := hashes(t, operator, key); len(got) != 1 || got[0].ResourceVersion != hash.ResourceVersion {
				t.Error("the hash was written to")
			}
			remove(t, altered)
			if after = d.settle(t, key); reason(after) != v1alpha1.ReasonReconciled {
				t.Errorf("after the Secret was deleted: status %+v", after.Status)
			}
			oneKey(t, operator, key)
		})
	}
}

// What stands under the key's name before there is a hash is taken for the key only if the
// operator may have put it there.
func TestADeliveredSecretThatSomebodyMadeUpIsLeftAlone(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	d := newDirect(operator)
	madeUp := map[string]struct {
		prefix, environment, generation string
		taken                           bool
	}{
		"fitting":             {"shop", "live", "1", true},
		"of-any-generation":   {"shop", "live", "7", true},
		"another-prefix":      {"zzz", "live", "1", false},
		"another-environment": {"shop", "test", "1", false},
		"never-reached":       {"shop", "live", "1000001", false},
		"the-greatest-number": {"shop", "live", "9223372036854775807", false},
		"beyond-any-number":   {"shop", "live", "9223372036854775808", false},
		"a-negative-one":      {"shop", "live", "-1", false},
	}
	keys := map[string]*v1alpha1.ApiKey{}
	for name, test := range madeUp {
		keys[name] = newKey(ns, name, "shop")
		create(t, keys[name])
		text, err := token.New(test.prefix, test.environment)
		if err != nil {
			t.Fatal(err)
		}
		create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name,
			Labels:      map[string]string{v1alpha1.LabelSecret: v1alpha1.SecretDelivered, v1alpha1.LabelApiKeyUID: string(keys[name].UID)},
			Annotations: map[string]string{v1alpha1.AnnotationGeneration: test.generation},
		}, Data: map[string][]byte{v1alpha1.DataKeyApiKey: []byte(text.Reveal())}})
		if after := d.settle(t, keys[name]); test.generation == "1" && reason(after) != v1alpha1.ReasonWorkspaceNotFound {
			t.Errorf("%s, before there is a workspace: status %+v", name, after.Status)
		}
	}
	create(t, newWorkspace(ns, "shop", func(s *v1alpha1.WorkspaceSpec) { s.Keys.Prefix = "shop" }))
	for name, key := range keys {
		want, count := v1alpha1.ReasonSecretAltered, 0
		if madeUp[name].taken {
			want, count = v1alpha1.ReasonReconciled, 1
		}
		after := d.settle(t, key)
		if found := hashes(t, operator, key); reason(after) != want || len(found) != count {
			t.Errorf("%s: %d hashes, status %+v", name, len(found), after.Status)
		}
		remove(t, delivered(t, key))
		if after = d.settle(t, key); reason(after) != v1alpha1.ReasonReconciled {
			t.Errorf("%s, after the Secret was deleted: status %+v", name, after.Status)
		}
		oneKey(t, operator, key)
	}
}

// A workspace may change its prefix; the keys that it had issued before are known by their status.
func TestAHashIsWrittenAgainThoughThePrefixChanged(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	workspace := newWorkspace(ns, "shop", func(s *v1alpha1.WorkspaceSpec) { s.Keys.Prefix = "old" })
	create(t, workspace)
	d := newDirect(operator)
	key := newKey(ns, "key", "shop")
	issued(t, d, key)
	text := plaintext(delivered(t, key))
	change(t, workspace, func(w *v1alpha1.Workspace) { w.Spec.Keys.Prefix = "new" })
	hash := hashes(t, operator, key)[0]
	remove(t, &hash)
	if after := restarted(d).settle(t, key); reason(after) != v1alpha1.ReasonReconciled {
		t.Errorf("status %+v", after.Status)
	}
	if oneKey(t, operator, key); plaintext(delivered(t, key)) != text {
		t.Error("the key was changed")
	}
}

// rewriting is an API server with a mutating admission webhook for delivered Secrets.
type rewriting struct {
	client.Client
	mutate func(*corev1.Secret)
}

func (r rewriting) Create(ctx context.Context, object client.Object, opts ...client.CreateOption) error {
	if secret, ok := object.(*corev1.Secret); ok && secret.Labels[v1alpha1.LabelSecret] == v1alpha1.SecretDelivered {
		r.mutate(secret)
	}
	return r.Client.Create(ctx, object, opts...)
}

// What an admission webhook makes of a delivered Secret is told and left alone, and neither is another
// key delivered into it, over and over, nor a lost one stopped for it.
func TestADeliveredSecretThatAWebhookRewritesIsLeftAlone(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	seal := func(s *corev1.Secret) { s.Data = map[string][]byte{v1alpha1.DataKeyApiKey: []byte("vault:v1:xyz")} }
	for name, test := range map[string]struct {
		mutate func(*corev1.Secret)
		reason string
		lost   bool
	}{
		"sealed":       {seal, v1alpha1.ReasonSecretAltered, false},
		"emptied":      {func(s *corev1.Secret) { s.Data = nil }, v1alpha1.ReasonSecretAltered, false},
		"unlabelled":   {func(s *corev1.Secret) { s.Labels = nil }, v1alpha1.ReasonSecretConflict, false},
		"sealed-later": {seal, v1alpha1.ReasonSecretAltered, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDirect(operator)
			key := newKey(ns, name, "shop")
			want := 0
			if test.lost {
				issued(t, d, key)
				remove(t, delivered(t, key))
				want = 1
			} else {
				create(t, key)
			}
			d.Writer = rewriting{d.Writer, test.mutate}
			after := d.settle(t, key)
			if reason(after) != test.reason || !isStalled(after) {
				t.Errorf("status %+v", after.Status)
			}
			if found := hashes(t, operator, key); len(found) != want {
				t.Errorf("there are %d hashes, want %d", len(found), want)
			}
			if told := d.told(); len(told) != 1 || !strings.Contains(told[0], "Warning "+test.reason) {
				t.Errorf("Events %q", told)
			}
			writes := d.calls.writes
			result, err := d.once(t, key)
			if err != nil || d.calls.writes != writes || result.RequeueAfter != 0 && result.RequeueAfter < 30*time.Second {
				t.Errorf("looking again made %d writes; %+v, %v", d.calls.writes-writes, result, err)
			}
			remove(t, secret(t, ns, name))
			d.Writer = d.Writer.(rewriting).Client
			if after = d.settle(t, key); reason(after) != v1alpha1.ReasonReconciled {
				t.Errorf("without the webhook: status %+v", after.Status)
			}
			oneKey(t, operator, key)
		})
	}
}

func TestAHashedSecretThatSomebodyChangedIsLeftAlone(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	d := newDirect(operator)
	key := newKey(ns, "key", "shop")
	issued(t, d, key)
	hash := hashes(t, operator, key)[0]
	change(t, &hash, func(s *corev1.Secret) { s.Data["hash"] = []byte("short") })
	after := d.settle(t, key)
	if reason(after) != v1alpha1.ReasonSecretAltered || after.Status.State != v1alpha1.ReasonPending {
		t.Errorf("status %+v", after.Status)
	}
	if got := hashes(t, operator, key); len(got) != 1 || got[0].ResourceVersion != hash.ResourceVersion {
		t.Error("the hash was written to")
	}
	remove(t, &hash)
	if after = d.settle(t, key); reason(after) != v1alpha1.ReasonReconciled {
		t.Errorf("after it was deleted: status %+v", after.Status)
	}
}
