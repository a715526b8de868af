package feed

import (
	"encoding/json"
	"fmt"
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
	// held: what is listed goes to the index only when the lists of all kinds are there.
	held *barrier
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
	if !s.held.holds() {
		s.apply(object)
		return &entry[ID]{id: id}
	}
	slim(object)
	text, err := json.Marshal(object)
	if err != nil {
		s.unusable(object, err)
		return &entry[ID]{}
	}
	return &entry[ID]{id, text}
}

// Add implements cache.ReflectorStore.
func (s *store[Object, ID]) Add(in any) error {
	if object, ok := in.(Object); ok {
		s.apply(object)
	}
	return nil
}

// Update implements cache.ReflectorStore.
func (s *store[Object, ID]) Update(in any) error { return s.Add(in) }

// Delete implements cache.ReflectorStore.
func (s *store[Object, ID]) Delete(in any) error {
	if object, ok := in.(Object); ok {
		if id, err := s.id(object); err == nil {
			s.remove(id)
		}
	}
	return nil
}

// Resync implements cache.ReflectorStore. Nothing is kept that could be shown again.
func (s *store[Object, ID]) Resync() error { return nil }

// Replace implements cache.ReflectorStore: the index is told to drop whatever is not in the list.
// An error makes the reflector begin anew.
func (s *store[Object, ID]) Replace(items []any, _ string) error {
	if len(items) == 0 && s.count() > 0 {
		if err := s.confirmEmpty(); err != nil {
			return err
		}
	}
	if err := s.held.arrive(s.name); err != nil {
		return err
	}
	keep := make(map[ID]struct{}, len(items))
	for _, item := range items {
		e, ok := s.collect(item).(*entry[ID])
		if !ok {
			return fmt.Errorf("the API server listed a %T among the %s", item, s.name)
		}
		keep[e.id] = struct{}{}
		s.release(e)
	}
	s.retain(func(id ID) bool {
		_, listed := keep[id]
		return listed
	})
	s.live.Store(true)
	return nil
}

// release hands on what was held back.
func (s *store[Object, ID]) release(e *entry[ID]) {
	if e.json == nil {
		return
	}
	object := s.empty()
	if err := json.Unmarshal(e.json, object); err != nil {
		s.unusable(object, err)
		return
	}
	e.json = nil
	s.apply(object)
}

// apply takes an object that is being deleted for deleted: that cannot be undone, and whoever
// holds it up with a finalizer holds up no revocation.
func (s *store[Object, ID]) apply(object Object) {
	if object.GetDeletionTimestamp() != nil {
		s.Delete(object) //nolint:errcheck // it returns none
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
