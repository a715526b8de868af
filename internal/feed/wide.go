package feed

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// widely is a named object's identity in the queue.
type widely struct {
	kind string
	name types.NamespacedName
}

// throughQueue lets a kind whose changes may be expensive wait in the queue, except for what stops a tenant or
// an identity: that is seen at once.
func throughQueue[Object client.Object](q *queue, k kind[Object, types.NamespacedName]) kind[Object, types.NamespacedName] {
	var mu sync.Mutex
	var known map[types.NamespacedName]struct{} // nil: nobody has asked the index yet
	set, remove, retain, stop := k.set, k.remove, k.retain, k.stop
	learn := func() { // with mu held
		if known != nil {
			return
		}
		known = map[types.NamespacedName]struct{}{}
		retain(func(name types.NamespacedName) bool { known[name] = struct{}{}; return true })
	}
	k.set = func(o Object) error {
		name := client.ObjectKeyFromObject(o)
		mu.Lock()
		learn()
		known[name] = struct{}{}
		mu.Unlock()
		var stopping func()
		if k.takesAway(o) {
			stopping = func() { stop(name) }
		}
		q.add(widely{k.name, name}, func() { set(o) }, stopping) //nolint:errcheck // a named object is never refused
		return nil
	}
	k.remove = func(name types.NamespacedName) {
		mu.Lock()
		learn()
		delete(known, name)
		mu.Unlock()
		q.add(widely{k.name, name}, func() { remove(name) }, func() { stop(name) })
	}
	k.retain = func(keep func(types.NamespacedName) bool) {
		for _, name := range func() (gone []types.NamespacedName) {
			mu.Lock()
			defer mu.Unlock()
			learn()
			for name := range known {
				if !keep(name) {
					gone = append(gone, name)
				}
			}
			return gone
		}() {
			k.remove(name)
		}
	}
	k.count = func() int {
		mu.Lock()
		defer mu.Unlock()
		learn()
		return len(known)
	}
	k.stopMissing = func(keep func(types.NamespacedName) bool) {
		mu.Lock()
		defer mu.Unlock()
		learn()
		for name := range known {
			if !keep(name) {
				stop(name)
			}
		}
	}
	k.then = q.then
	return k
}
