package controllers_test

import (
	"context"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// faults are what one call to the API server may end with while the operator lives on.
var faults = map[string]struct {
	err error
	// done says that the server has done what it was asked for.
	done bool
}{
	"a conflict":                {apierrors.NewConflict(schema.GroupResource{Resource: "secrets"}, "some", nil), false},
	"a timeout, and it is done": {apierrors.NewTimeoutError("the server took too long", 1), true},
}

// A scene is one thing that happens to a key. Before prepares it and returns the key; after says what must
// hold in the end.
type scene struct {
	name   string
	before func(t *testing.T, operator, ns string) *v1alpha1.ApiKey
	after  func(t *testing.T, operator string, key *v1alpha1.ApiKey)
	// later is how far the clock is set before the operator looks.
	later time.Duration
}

func generated(ns string, with ...func(*v1alpha1.ApiKeySpec)) *v1alpha1.ApiKey {
	key := newKey(ns, "", "shop", with...)
	key.GenerateName = "key-"
	return key
}

// settled makes a key as it is after its first days.
func settled(t *testing.T, operator, ns string, with ...func(*v1alpha1.ApiKeySpec)) *v1alpha1.ApiKey {
	t.Helper()
	key := generated(ns, with...)
	create(t, key)
	newDirect(operator).settle(t, key)
	return key
}

var sealedIdentity = func() func(t *testing.T) func(*v1alpha1.ApiKeySpec) {
	var recipient v1alpha1.Recipient
	return func(t *testing.T) func(*v1alpha1.ApiKeySpec) {
		if recipient == "" {
			recipient = v1alpha1.Recipient(newIdentity(t).Recipient().String())
		}
		return func(s *v1alpha1.ApiKeySpec) {
			s.Delivery.Type, s.Delivery.Recipients = v1alpha1.DeliverySealed, []v1alpha1.Recipient{recipient}
		}
	}
}()

// ends checks which generations there are in the end, that the newest is the current one, and that it is
// delivered, where it is.
func ends(wanted ...int) func(t *testing.T, operator string, key *v1alpha1.ApiKey) {
	return func(t *testing.T, operator string, key *v1alpha1.ApiKey) {
		t.Helper()
		found, is := generations(t, operator, key), fresh(t, key)
		newest := wanted[len(wanted)-1]
		if len(found) != len(wanted) || is.Status.KeyGeneration != int32(newest) || is.Status.State != v1alpha1.ReasonActive {
			t.Errorf("%d keys, want the generations %v; %+v", len(found), wanted, is.Status)
		}
		if found[newest].NotAfter != nil && key.Spec.TTL == nil {
			t.Errorf("the current key ends at %v", found[newest].NotAfter)
		}
		for _, g := range wanted[:len(wanted)-1] {
			if found[g].NotAfter == nil {
				t.Errorf("the replaced key of generation %d has no end", g)
			}
		}
		noneStaged(t, key)
		if key.Spec.Source == nil && key.Spec.Delivery.Type != v1alpha1.DeliverySealed {
			holds(t, operator, key, newest)
		}
	}
}

var scenes = []scene{
	{name: "a key is made", before: func(t *testing.T, _, ns string) *v1alpha1.ApiKey {
		key := generated(ns)
		create(t, key)
		return key
	}, after: ends(1)},
	{name: "a key is rotated with an overlap", later: day, before: func(t *testing.T, operator, ns string) *v1alpha1.ApiKey {
		return settled(t, operator, ns, overlapping(day, time.Hour))
	}, after: ends(1, 2)},
	{name: "a key is regenerated without one", before: func(t *testing.T, operator, ns string) *v1alpha1.ApiKey {
		key := settled(t, operator, ns)
		regenerate(t, key, "1")
		return key
	}, after: ends(2)},
	{name: "a key is sealed", before: func(t *testing.T, _, ns string) *v1alpha1.ApiKey {
		key := generated(ns, sealedIdentity(t))
		create(t, key)
		return key
	}, after: ends(1)},
	{name: "a sealed key is rotated", later: day, before: func(t *testing.T, operator, ns string) *v1alpha1.ApiKey {
		return settled(t, operator, ns, sealedIdentity(t), overlapping(day, time.Hour))
	}, after: ends(1, 2)},
	{name: "an expired key is renewed", later: 2 * day, before: func(t *testing.T, operator, ns string) *v1alpha1.ApiKey {
		key := settled(t, operator, ns, lasting(day))
		regenerate(t, key, "1")
		return key
	}, after: ends(2)},
	{name: "a key is brought along", before: func(t *testing.T, _, ns string) *v1alpha1.ApiKey {
		source := newSecret(ns, "", made(t).Reveal())
		source.GenerateName = "source-"
		create(t, source)
		key := generated(ns, fromSecret(source.Name))
		create(t, key)
		return key
	}, after: ends(1)},
	{name: "another key is brought along", before: func(t *testing.T, operator, ns string) *v1alpha1.ApiKey {
		key := settled(t, operator, ns, fromHash(made(t), ""), overlapping(0, time.Hour))
		change(t, key, func(k *v1alpha1.ApiKey) { fromHash(made(t), "")(&k.Spec) })
		return key
	}, after: ends(1, 2)},
	{name: "an overlap ends", later: day + 2*time.Hour, before: func(t *testing.T, operator, ns string) *v1alpha1.ApiKey {
		key := settled(t, operator, ns, overlapping(2*day, time.Hour), func(s *v1alpha1.ApiKeySpec) { s.Rotation.KeepPrevious = true })
		regenerate(t, key, "1")
		newDirect(operator).settle(t, key)
		return key
	}, after: func(t *testing.T, operator string, key *v1alpha1.ApiKey) {
		ends(2)(t, operator, key)
		if _, more := delivered(t, key).Data[v1alpha1.DataKeyPrevious]; more {
			t.Error("the replaced key is still in the Secret")
		}
	}},
	{name: "a key is revoked", before: func(t *testing.T, operator, ns string) *v1alpha1.ApiKey {
		key := settled(t, operator, ns, overlapping(day, time.Hour))
		regenerate(t, key, "1")
		newDirect(operator).settle(t, key)
		change(t, key, func(k *v1alpha1.ApiKey) { k.Spec.State = v1alpha1.KeyRevoked })
		return key
	}, after: func(t *testing.T, operator string, key *v1alpha1.ApiKey) {
		is := fresh(t, key)
		if is.Status.State != v1alpha1.ReasonRevoked || is.Status.Revocation == nil || len(generations(t, operator, key)) != 1 {
			t.Errorf("%d keys; %+v", len(generations(t, operator, key)), is.Status)
		}
	}},
	{name: "a key is deleted amid a rotation", before: func(t *testing.T, operator, ns string) *v1alpha1.ApiKey {
		key := settled(t, operator, ns, overlapping(day, time.Hour))
		regenerate(t, key, "1")
		newDirect(operator).settle(t, key)
		remove(t, key)
		return key
	}, after: func(t *testing.T, operator string, key *v1alpha1.ApiKey) {
		if left := hashes(t, operator, key); len(left) != 0 {
			t.Errorf("%d hashes are left of a deleted key", len(left))
		}
	}},
}

// Whatever one call ends with, and whichever call it is, the operator that lives on brings every scene to the
// same end.
func TestEverySceneEndsWellWhateverOneCallEndsWith(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
			create(t, newWorkspace(ns, "shop"))
			for name, fault := range faults {
				t.Run(name, func(t *testing.T) {
					for at := 0; ; at++ {
						key := s.before(t, operator, ns)
						d := newDirect(operator)
						d.clock.SetTime(d.clock.Now().Add(s.later))
						f := &faulty{Client: admin, at: at, err: fault.err, done: fault.done}
						d.Live, d.Writer = f, f
						for range 6 {
							d.once(t, key) //nolint:errcheck // it is tried again, as a queue does
						}
						s.after(t, operator, key)
						if t.Failed() {
							t.Fatalf("with call %d", at)
						}
						if f.made <= at {
							return
						}
					}
				})
			}
		})
	}
}

// The same with an operator that dies at the call, and another that goes on.
func TestEverySceneEndsWellWhereverTheOperatorDies(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
			create(t, newWorkspace(ns, "shop"))
			for name, answerLost := range crashes {
				t.Run(name, func(t *testing.T) {
					for limit := 0; ; limit++ {
						key := s.before(t, operator, ns)
						victim, c := newDirect(operator), &calls{limit: limit, answerLost: answerLost}
						victim.clock.SetTime(victim.clock.Now().Add(s.later))
						victim.Live, victim.Writer = counted{c, admin}, counted{c, admin}
						victim.once(t, key) //nolint:errcheck // it dies

						next := newDirect(operator)
						next.clock.SetTime(next.clock.Now().Add(s.later))
						for range 4 {
							if _, err := next.once(t, key); err != nil {
								t.Fatalf("after a crash at call %d: %v", limit, err)
							}
						}
						s.after(t, operator, key)
						if t.Failed() {
							t.Fatalf("with a crash at call %d", limit)
						}
						if !c.crashed() {
							return
						}
					}
				})
			}
		})
	}
}

// faulty is a client of which one call goes wrong.
type faulty struct {
	client.Client
	made, at int
	err      error
	done     bool
}

func (f *faulty) do(call func() error) error {
	f.made++
	if f.made-1 != f.at {
		return call()
	}
	if f.done {
		call() //nolint:errcheck // the answer is lost
	}
	return f.err
}

func (f *faulty) Get(ctx context.Context, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	return f.do(func() error { return f.Client.Get(ctx, key, object, opts...) })
}

func (f *faulty) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	return f.do(func() error { return f.Client.List(ctx, list, opts...) })
}

func (f *faulty) Create(ctx context.Context, object client.Object, opts ...client.CreateOption) error {
	return f.do(func() error { return f.Client.Create(ctx, object, opts...) })
}

func (f *faulty) Patch(ctx context.Context, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
	return f.do(func() error { return f.Client.Patch(ctx, object, patch, opts...) })
}

func (f *faulty) Delete(ctx context.Context, object client.Object, opts ...client.DeleteOption) error {
	return f.do(func() error { return f.Client.Delete(ctx, object, opts...) })
}

func (f *faulty) Status() client.SubResourceWriter { return faultyStatus{f.Client.Status(), f} }

type faultyStatus struct {
	client.SubResourceWriter
	f *faulty
}

func (s faultyStatus) Apply(ctx context.Context, object runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
	return s.f.do(func() error { return s.SubResourceWriter.Apply(ctx, object, opts...) })
}
