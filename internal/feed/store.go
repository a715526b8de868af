package feed

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// store is what a reflector takes for its store. It hands each object straight to the
// index and keeps none, so that what is known is in memory once.
//
// Where the reflector collects a list before it shows it, in a stream or page by page, the
// objects are handed on as they arrive and only their IDs are collected: starting
// takes little more memory than running. Each is at least as new as what the index had
// of it, so nothing is lost if the list then breaks off; only what is not in the list waits for its end.
//
// No method returns an error for an object that is unusable: the reflector would log it whole.
type store[Object client.Object, ID comparable] struct {
	kind[Object, ID]
	log logr.Logger
	// live is set once a whole list has reached the index.
	live atomic.Bool
	// heard is called when a list is taken.
	heard func()
	// held: what is listed goes to the index only when the lists of all kinds are there.
	held *barrier
	// applied is the resource version up to which everything is in the index; nil: no list is.
	applied atomic.Pointer[string]
	mu      sync.Mutex
	// holding is set until the barrier opens, and back is what is held back until then; nil: no list was taken.
	holding bool
	back    map[ID]*entry[ID]
	version string // that all which was shown, or is held back, is of; empty: no list was taken
	// confirmEmpty says whether there really is nothing.
	confirmEmpty func() error
}

// entry is what is collected of an object: its ID, and its JSON where it is held back. The reflector
// wants a runtime.Object.
type entry[ID comparable] struct {
	id   ID
	json []byte
}

// GetObjectKind implements runtime.Object.
func (*entry[ID]) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject implements runtime.Object.
func (e *entry[ID]) DeepCopyObject() runtime.Object { return &entry[ID]{e.id, e.json} }

// Transformer implements cache.TransformingStore, for what is collected while a list is streamed.
func (s *store[Object, ID]) Transformer() toolscache.TransformFunc {
	return func(in any) (any, error) { return s.collect(in), nil }
}

// collect may be called twice on one object, the second time on what it returned.
func (s *store[Object, ID]) collect(in any) any {
	object, ok := in.(Object)
	if !ok {
		return in
	}
	id, err := s.id(object)
	if err != nil {
		s.unusable(object, err)
		return &entry[ID]{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.holding {
		s.apply(object)
		return &entry[ID]{id: id}
	}
	return s.hold(id, object)
}

// hold makes of an object what is applied later, and does at once what it takes away.
func (s *store[Object, ID]) hold(id ID, object Object) *entry[ID] {
	slim(object)
	text, err := json.Marshal(object)
	if err != nil {
		s.unusable(object, err)
		return &entry[ID]{}
	}
	switch {
	case object.GetDeletionTimestamp() != nil:
		s.stop(id)
	case s.takesAway(object):
		s.apply(object)
	}
	e := &entry[ID]{id, text}
	if s.back != nil {
		s.back[id] = e // so that what is released undoes nothing of this
	}
	return e
}

// Add implements cache.ReflectorStore.
func (s *store[Object, ID]) Add(in any) error {
	object, ok := in.(Object)
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.holding {
		s.apply(object)
		return nil
	}
	if id, err := s.id(object); err != nil {
		s.unusable(object, err)
	} else {
		s.hold(id, object)
	}
	return nil
}

// Update implements cache.ReflectorStore.
func (s *store[Object, ID]) Update(in any) error { return s.Add(in) }

// Delete implements cache.ReflectorStore.
func (s *store[Object, ID]) Delete(in any) error {
	object, ok := in.(Object)
	if !ok {
		return nil
	}
	id, err := s.id(object)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holding {
		delete(s.back, id)
		s.stop(id)
		return nil
	}
	s.remove(id)
	return nil
}

// Resync implements cache.ReflectorStore. Nothing is kept that could be shown again.
func (s *store[Object, ID]) Resync() error { return nil }

// Replace implements cache.ReflectorStore: the index is told to drop whatever is not in the list.
// An error makes the reflector begin anew.
func (s *store[Object, ID]) Replace(items []any, version string) error {
	if len(items) == 0 && s.count() > 0 {
		if err := s.confirmEmpty(); err != nil {
			return err
		}
	}
	listed := make(map[ID]*entry[ID], len(items))
	for _, item := range items {
		e, ok := s.collect(item).(*entry[ID])
		if !ok {
			return fmt.Errorf("the API server listed a %T among the %s", item, s.name)
		}
		listed[e.id] = e
	}
	if s.take(listed, version) {
		s.held.arrive(s.name, s.release)
	}
	s.heard()
	return nil
}

// take takes a list, and says whether it is held back.
func (s *store[Object, ID]) take(listed map[ID]*entry[ID], version string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version = version
	if s.back = listed; s.holding {
		s.stopMissing(s.isBack)
		return true
	}
	s.applyBack()
	return false
}

// release lets go what is held back, as of now.
func (s *store[Object, ID]) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holding = false
	s.applyBack()
}

func (s *store[Object, ID]) isBack(id ID) bool {
	_, is := s.back[id]
	return is
}

// applyBack makes the index what the list says.
func (s *store[Object, ID]) applyBack() {
	for _, e := range s.back {
		s.applyEntry(e)
	}
	s.retain(s.isBack)
	s.back = nil
	s.then(func() { s.live.Store(true) })
	s.reach()
}

// UpdateResourceVersion implements cache.ResourceVersionUpdater: it is called after each event of a watch, and with
// each bookmark.
func (s *store[Object, ID]) UpdateResourceVersion(version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.version = version; !s.holding {
		s.reach()
	}
}

// reach takes note of the version once all up to it is in the index, which may wait in the queue. It must be
// called with mu held.
func (s *store[Object, ID]) reach() {
	version := s.version
	s.then(func() { s.applied.Store(&version) })
}

func (s *store[Object, ID]) applyEntry(e *entry[ID]) {
	if e.json == nil {
		return
	}
	object := s.empty()
	if err := json.Unmarshal(e.json, object); err != nil {
		s.unusable(object, err)
		return
	}
	s.apply(object)
}

// apply takes an object that is being deleted for deleted: that cannot be undone, and whoever
// holds it up with a finalizer holds up no revocation.
func (s *store[Object, ID]) apply(object Object) {
	if object.GetDeletionTimestamp() != nil {
		if id, err := s.id(object); err == nil {
			s.remove(id)
		}
		return
	}
	slim(object) // the index may keep it, and a snapshot
	if err := s.set(object); err != nil {
		s.unusable(object, err)
	}
}

func (s *store[Object, ID]) unusable(object Object, err error) {
	s.log.Error(err, "an object is left out", "resource", s.name, "namespace", object.GetNamespace(), "name", object.GetName())
}
