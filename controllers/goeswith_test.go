package controllers_test

import (
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers/workspace"
)

func cascading(s *v1alpha1.WorkspaceSpec) { s.DeletionPolicy = v1alpha1.WorkspaceCascade }

// looking is an operator that looks after workspaces, driven by hand.
func looking(t *testing.T, at client.Object) (look func(), calls *calls) {
	calls = newKeeping().calls
	r := &workspace.Reconciler{Cached: newDirect("").Cached, Live: counted{calls, admin}, Writer: counted{calls, admin},
		Clock: clocktesting.NewFakePassiveClock(time.Now())}
	return func() {
		t.Helper()
		for range 3 {
			if _, err := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: client.ObjectKeyFromObject(at)}); err != nil {
				t.Fatal(err)
			}
		}
	}, calls
}

func exists(t *testing.T, object client.Object) bool {
	t.Helper()
	err := admin.Get(t.Context(), client.ObjectKeyFromObject(object), object)
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return err == nil
}

func TestWhatGoesWithAWorkspaceIsDeletedWithIt(t *testing.T) {
	ns := newNamespace(t, "team")
	shop, bank := newWorkspace(ns, "shop", cascading), newWorkspace(ns, "bank")
	key, other := newKey(ns, "key", "shop"), newKey(ns, "other", "bank")
	account, robot := newAccount(ns, "account", "shop"), newAccount(ns, "robot", "shop", withToken)
	for _, object := range []client.Object{shop, bank, key, other, account, robot} {
		create(t, object)
	}
	newKeeping().settle(t, robot) // and so it has a token
	look, calls := looking(t, shop)
	look()
	before := calls.writes
	look()
	if calls.writes != before {
		t.Errorf("looking again made %d writes", calls.writes-before)
	}
	lookBank, _ := looking(t, bank)
	lookBank()
	if token := tokenOf(t, robot); len(token.OwnerReferences) != 1 || len(token.Annotations) != 0 {
		t.Errorf("a token, which goes with its account, is marked: %v, %v", token.OwnerReferences, token.Annotations)
	}

	remove(t, shop)
	remove(t, bank)
	look()
	lookBank()
	for object, wanted := range map[client.Object]bool{key: false, account: false, robot: false, other: true} {
		if exists(t, object) != wanted {
			t.Errorf("%s is there: %v", object.GetName(), !wanted)
		}
	}
	eventually(t, func() string {
		if tokenOf(t, robot) != nil {
			return "the token outlives its account"
		}
		return ""
	})
}

func TestNothingGoesWithAWorkspaceThatIsThereAgainOrChangedItsMind(t *testing.T) {
	ns := newNamespace(t, "team")
	shop, key := newWorkspace(ns, "shop", cascading), newKey(ns, "key", "shop")
	create(t, shop)
	create(t, key)
	look, _ := looking(t, shop)
	look()
	remove(t, shop)
	again := newWorkspace(ns, "shop", cascading)
	create(t, again)
	look()
	if !exists(t, key) {
		t.Fatal("the key is gone though its workspace was made again")
	}
	change(t, again, func(w *v1alpha1.Workspace) { w.Spec.DeletionPolicy = v1alpha1.WorkspaceRefuse })
	look()
	remove(t, again)
	look()
	if !exists(t, key) {
		t.Error("the key is gone though its workspace did not cascade any more")
	}
}

// What comes back from a backup before its Workspace bears the mark of another UID.
func TestAMarkOfBeforeABackupSaysNothing(t *testing.T) {
	ns := newNamespace(t, "team")
	shop, key := newWorkspace(ns, "shop", cascading), newKey(ns, "key", "shop")
	create(t, shop)
	create(t, key)
	look, _ := looking(t, shop)
	look()
	restored := newKey(ns, "restored", "shop")
	restored.Annotations = fresh(t, key).Annotations
	create(t, restored)
	remove(t, shop)
	look()
	if exists(t, key) || !exists(t, restored) {
		t.Errorf("the key is there: %v, and what was restored: %v", exists(t, key), exists(t, restored))
	}
}

// A cache that says that a workspace is gone is not believed.
func TestAWorkspaceIsGoneOnlyIfTheAPIServerSaysSo(t *testing.T) {
	ns := newNamespace(t, "team")
	shop, key := newWorkspace(ns, "shop", cascading), newKey(ns, "key", "shop")
	create(t, key)
	look, _ := looking(t, shop)
	create(t, shop)
	look()
	r := &workspace.Reconciler{Cached: without{newDirect("").Cached}, Live: admin, Writer: admin, Clock: clocktesting.NewFakePassiveClock(time.Now())}
	if _, err := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: client.ObjectKeyFromObject(shop)}); err != nil {
		t.Fatal(err)
	}
	if !exists(t, key) {
		t.Error("the key is gone")
	}
}
