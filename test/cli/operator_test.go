package cli

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/sealing"
	"github.com/claviger-dev/claviger/internal/token"
)

// operator stands in for the real one in a namespace: it makes a key for each ApiKey and whenever the annotation
// changes, and says that a revocation has reached everybody. It keeps the keys for tests to compare with.
type operator struct {
	namespace string
	keys      chan made
	known     map[types.UID]string // the annotation that the last key was made for
}

// made is a key that was made.
type made struct {
	name string
	key  token.Token
}

func playOperator(t *testing.T, namespace string) *operator {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	o := &operator{namespace: namespace, keys: make(chan made, 100), known: map[types.UID]string{}}
	ended := make(chan error, 1)
	go func() { ended <- o.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error("the operator that was played:", err)
		}
	})
	return o
}

func (o *operator) run(ctx context.Context) error {
	for ctx.Err() == nil {
		list := &v1alpha1.ApiKeyList{}
		err := admin.List(ctx, list, client.InNamespace(o.namespace))
		for i := range list.Items {
			if err == nil {
				err = o.reconcile(ctx, &list.Items[i])
			}
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

func (o *operator) reconcile(ctx context.Context, key *v1alpha1.ApiKey) error {
	before := key.DeepCopy()
	now := metav1.Now().Rfc3339Copy()
	demand := key.Annotations[v1alpha1.AnnotationRegenerate]
	switch last, known := o.known[key.UID]; {
	case key.Spec.State == v1alpha1.KeyRevoked && key.Status.Revocation == nil:
		key.Status.State = v1alpha1.ReasonRevoked
		key.Status.Revocation = &v1alpha1.Revocation{RequestedAt: &now, PropagatedAt: &now, Verifiers: 2, Reason: key.Annotations[v1alpha1.AnnotationRevocationReason]}
	case key.Spec.State != v1alpha1.KeyRevoked && (!known || last != demand):
		if err := o.issue(key, now); err != nil {
			return err
		}
		o.known[key.UID] = demand
	default:
		return nil
	}
	key.Status.ObservedGeneration = key.Generation
	return admin.Status().Patch(ctx, key, client.MergeFrom(before))
}

func (o *operator) issue(key *v1alpha1.ApiKey, now metav1.Time) error {
	plain, err := token.New("ak", "live")
	if err != nil {
		return err
	}
	key.Status.KeyID, key.Status.State, key.Status.Hint = string(key.UID), v1alpha1.ReasonActive, plain.Hint()
	key.Status.IssuedAt = &now
	key.Status.KeyGeneration++
	if d := key.Spec.Delivery; d.Type == v1alpha1.DeliverySealed {
		var to []string
		for _, recipient := range d.Recipients {
			to = append(to, string(recipient))
		}
		text, err := sealing.Seal(plain, to)
		if err != nil {
			return fmt.Errorf("sealing for %s: %w", key.Name, err)
		}
		key.Status.Sealed = &v1alpha1.SealedKey{Ciphertext: text, Recipients: d.Recipients}
	} else {
		key.Status.SecretName = key.SecretName()
	}
	o.keys <- made{key.Name, plain}
	return nil
}

// last is the newest key that was made for an ApiKey.
func (o *operator) last(t *testing.T, name string) string {
	t.Helper()
	var text string
	for {
		select {
		case m := <-o.keys:
			if m.name == name {
				text = m.key.Reveal()
			}
			continue
		default:
		}
		break
	}
	if text == "" {
		t.Fatalf("no key was made for %s", name)
	}
	return text
}
