package watch

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

func TestWhichUpdatesPass(t *testing.T) {
	object := func(change func(*v1alpha1.Workspace)) *v1alpha1.Workspace {
		w := &v1alpha1.Workspace{}
		w.UID, w.Generation, w.ResourceVersion = "uid", 1, "1"
		change(w)
		return w
	}
	old := object(func(*v1alpha1.Workspace) {})
	for name, test := range map[string]struct {
		new             *v1alpha1.Workspace
		spec, existence bool
	}{
		"a status":       {object(func(w *v1alpha1.Workspace) { w.ResourceVersion = "2" }), false, false},
		"a spec":         {object(func(w *v1alpha1.Workspace) { w.ResourceVersion, w.Generation = "2", 2 }), true, false},
		"a resync":       {old, true, false},
		"another object": {object(func(w *v1alpha1.Workspace) { w.ResourceVersion, w.UID = "2", "other" }), true, true},
		"a deletion's mark": {object(func(w *v1alpha1.Workspace) {
			w.ResourceVersion = "2"
			w.SetDeletionTimestamp(&metav1.Time{Time: time.Unix(1, 0)})
		}), true, false},
	} {
		e := event.UpdateEvent{ObjectOld: old, ObjectNew: test.new}
		if got := SpecChanged().Update(e); got != test.spec {
			t.Errorf("%s passes SpecChanged: %v", name, got)
		}
		if got := Existence().Update(e); got != test.existence {
			t.Errorf("%s passes Existence: %v", name, got)
		}
	}
}

// delays is a queue that only notes what is added when.
type delays struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]
	added map[string]time.Duration
}

func (d delays) AddAfter(request reconcile.Request, after time.Duration) {
	d.added[request.Name] = after
}

func TestRequestsAreCoalesced(t *testing.T) {
	h := Coalesced(func(_ context.Context, object client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: client.ObjectKeyFromObject(object)}}
	})
	named := func(name string) *v1alpha1.Workspace {
		w := &v1alpha1.Workspace{}
		w.Name = name
		return w
	}
	q := delays{added: map[string]time.Duration{}}
	h.Create(t.Context(), event.CreateEvent{Object: named("created")}, q)
	h.Delete(t.Context(), event.DeleteEvent{Object: named("deleted")}, q)
	h.Update(t.Context(), event.UpdateEvent{ObjectOld: named("old"), ObjectNew: named("new")}, q)
	for _, name := range []string{"created", "deleted", "old", "new"} {
		if q.added[name] != Settle {
			t.Errorf("%s is added after %v", name, q.added[name])
		}
	}
}
