package usage

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// watchStatuses has a feed read anew when a status lacks what the feed tells only once: because somebody took the
// usage out of it, or because it has become another key's that was current when it was used. It also
// sees what was written come into the cache.
func (w *WriteBack) watchStatuses(ctx context.Context) error {
	for _, kind := range []struct {
		object client.Object
		again  *atomic.Bool
	}{
		{&v1alpha1.ApiKey{}, &w.keys.again},
		{&v1alpha1.KeyLimit{}, &w.limits.again},
		{&v1alpha1.Workspace{}, &w.groups.again},
		{&v1alpha1.ServiceAccount{}, &w.groups.again},
	} {
		informer, err := w.informers.GetInformer(ctx, kind.object)
		if err != nil {
			return fmt.Errorf("cannot watch %T: %w", kind.object, err)
		}
		_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			UpdateFunc: func(old, object any) {
				w.follow(old, object)
				if emptied(old, object) || succeeded(old, object) {
					kind.again.Store(true)
				}
			},
			DeleteFunc: w.forgetDeleted,
		})
		if err != nil {
			return fmt.Errorf("cannot watch %T: %w", kind.object, err)
		}
	}
	return nil
}

// follow takes note of what a change of a key means for what is known of its use.
func (w *WriteBack) follow(before, after any) {
	key, ok := after.(*v1alpha1.ApiKey)
	if !ok {
		return
	}
	id := string(key.UID)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known.cached(id, key.ResourceVersion)
	switch {
	case emptied(before, after):
		w.known.reread(id, time.Time{}, w.clock.Now())
	case succeeded(before, after):
		var since time.Time
		if key.Status.IssuedAt != nil {
			since = key.Status.IssuedAt.Time
		}
		w.known.reread(id, since, w.clock.Now())
	}
}

func (w *WriteBack) forgetDeleted(object any) {
	if unknown, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = unknown.Obj
	}
	if key, ok := object.(*v1alpha1.ApiKey); ok {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.known.shown(string(key.UID))
	}
}

// emptied says whether an object shows no usage and did before. Another one of the same name has never shown any.
func emptied(before, after any) bool {
	old, ok := before.(client.Object)
	if !ok {
		return false
	}
	object, ok := after.(client.Object)
	return ok && old.GetUID() == object.GetUID() && shows(old) && !shows(object)
}

// shows says whether there is usage in an object's status.
func shows(object client.Object) bool {
	switch object := object.(type) {
	case *v1alpha1.ApiKey:
		return object.Status.Usage != nil
	case *v1alpha1.KeyLimit:
		return object.Status.Usage != nil
	case *v1alpha1.Workspace:
		return object.Status.Usage != nil
	case *v1alpha1.ServiceAccount:
		return object.Status.Usage != nil
	}
	return false
}

// succeeded says whether a key has been replaced whose overlap ends once it is unused. Its last uses may
// have been told while the status still had it as the current one.
func succeeded(before, after any) bool {
	old, ok := before.(*v1alpha1.ApiKey)
	if !ok {
		return false
	}
	key, ok := after.(*v1alpha1.ApiKey)
	return ok && old.UID == key.UID && old.Status.KeyGeneration != key.Status.KeyGeneration && key.Status.KeyGeneration > 1 &&
		key.Spec.Rotation != nil && key.Spec.Rotation.EndWhenUnusedFor != nil
}
