package controllers_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// The place of a key that has expired is free for another, and the key that then lives again
// needs one like a new key.
func TestAKeyThatLivesAgainNeedsAPlace(t *testing.T) {
	operator := newNamespace(t, "operator")
	lifted := func(k *v1alpha1.ApiKey) { ttl(100 * time.Hour)(&k.Spec) }
	// old is an expired key of a workspace of its own, and young one that is not made yet.
	scene := func(t *testing.T) (d *direct, old, young *v1alpha1.ApiKey) {
		d = newDirect(operator)
		team := newNamespace(t, "team")
		create(t, newWorkspace(team, "one", func(s *v1alpha1.WorkspaceSpec) { s.Keys.MaxKeys = ptr.To[int32](1) }))
		old = newKey(team, "old", "one", ttl(time.Hour))
		issued(t, d, old)
		d.clock.SetTime(time.Now().Add(2 * time.Hour))
		if after := d.settle(t, old); after.Status.State != v1alpha1.ReasonExpired {
			t.Fatalf("status %+v", after.Status)
		}
		return d, old, newKey(team, "young", "one", ttl(100*time.Hour))
	}
	want := func(t *testing.T, d *direct, key *v1alpha1.ApiKey, state, ready string) {
		t.Helper()
		if after := d.settle(t, key); after.Status.State != state || reason(after) != ready {
			t.Errorf("%s: status %+v, want %s and %s", key.Name, after.Status, state, ready)
		}
	}

	t.Run("where another took its place", func(t *testing.T) {
		d, old, young := scene(t)
		issued(t, d, young)
		change(t, old, lifted)
		want(t, d, old, v1alpha1.ReasonExpired, v1alpha1.ReasonTooManyKeys)
		want(t, d, young, v1alpha1.ReasonActive, v1alpha1.ReasonReconciled)
		want(t, restarted(d), old, v1alpha1.ReasonExpired, v1alpha1.ReasonTooManyKeys)
		change(t, young, func(k *v1alpha1.ApiKey) { k.Spec.State = v1alpha1.KeyRevoked })
		want(t, d, old, v1alpha1.ReasonActive, v1alpha1.ReasonReconciled)
	})
	t.Run("where another comes at the same moment and is faster", func(t *testing.T) {
		d, old, young := scene(t)
		change(t, old, lifted)
		create(t, young)
		want(t, d, young, v1alpha1.ReasonActive, v1alpha1.ReasonReconciled)
		want(t, d, old, v1alpha1.ReasonExpired, v1alpha1.ReasonTooManyKeys)
	})
	t.Run("where another comes before a cache shows that it lives again", func(t *testing.T) {
		d, old, young := scene(t)
		change(t, old, lifted)
		behind := fresh(t, old)
		want(t, d, old, v1alpha1.ReasonActive, v1alpha1.ReasonReconciled)
		d.Cached = showing{d.Cached, *behind}
		create(t, young)
		want(t, d, young, v1alpha1.ReasonPending, v1alpha1.ReasonTooManyKeys)
	})
}

// restarted is the same operator, which remembers nothing.
func restarted(d *direct) *direct {
	anew := newDirect(d.Namespace)
	anew.clock.SetTime(d.clock.Now())
	return anew
}

// showing is a cache that shows an old version of one ApiKey in its lists.
type showing struct {
	client.Reader
	old v1alpha1.ApiKey
}

func (s showing) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	err := s.Reader.List(ctx, list, opts...)
	if keys, ok := list.(*v1alpha1.ApiKeyList); ok {
		for i := range keys.Items {
			if keys.Items[i].UID == s.old.UID {
				keys.Items[i] = s.old
			}
		}
	}
	return err
}

func ofUser(id v1alpha1.EntityID) func(*v1alpha1.ApiKeySpec) {
	return func(s *v1alpha1.ApiKeySpec) { s.Entity = &v1alpha1.Entity{Kind: v1alpha1.EntityUser, ID: id} }
}

func TestAUserHasOnePersonalToken(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	create(t, newWorkspace(ns, "bank"))
	first, second := newKey(ns, "first", "shop", ofUser("ada")), newKey(ns, "second", "shop", ofUser("ada"))
	others := []*v1alpha1.ApiKey{newKey(ns, "of-another", "shop", ofUser("bob")), newKey(ns, "elsewhere", "bank", ofUser("ada"))}
	d := newDirect(operator)
	for _, key := range append([]*v1alpha1.ApiKey{first, second}, others...) {
		create(t, key)
		d.settle(t, key)
	}
	for _, key := range append(others, first) {
		if hint := fresh(t, key).Status.Hint; !strings.HasPrefix(hint, "pat_live_") {
			t.Errorf("the personal token %s reads %q", key.Name, hint)
		}
	}
	if got := fresh(t, second); reason(got) != v1alpha1.ReasonTooManyKeys {
		t.Errorf("the second token of one user is %s", reason(got))
	}
	change(t, first, func(k *v1alpha1.ApiKey) { k.Spec.State = v1alpha1.KeyRevoked })
	d.settle(t, first)
	if got := d.settle(t, second); got.Status.State != v1alpha1.ReasonActive {
		t.Errorf("once the first is revoked the second is %s", got.Status.State)
	}
}
