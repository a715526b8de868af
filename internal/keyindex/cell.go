package keyindex

import (
	"iter"
	"maps"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// cell is the one place that all keys under a Workspace or a ServiceAccount look at. It
// exists as soon as a key refers to it; its value is nil while there is no such object.
type cell[Value any] struct {
	value atomic.Pointer[Value]
	keys  map[*apiKey]struct{}
}

func (c *cell[Value]) dependents() iter.Seq[*apiKey] { return maps.Keys(c.keys) }

func (c *cell[Value]) join(k *apiKey) {
	if c.keys == nil {
		c.keys = map[*apiKey]struct{}{}
	}
	c.keys[k] = struct{}{}
}

func (c *cell[Value]) leave(k *apiKey) { delete(c.keys, k) }

// replace shows readers a new value and compiles the keys under it anew. A value that stops
// them comes first, so that it never waits. Any other comes last: it must not meet a key that
// is still compiled to what was allowed, or unlimited, while nobody could use it.
func (c *cell[Value]) replace(value *Value, stops bool, compile func(iter.Seq[*apiKey])) {
	if stops {
		c.value.Store(value)
		compile(c.dependents())
		return
	}
	compile(c.dependents())
	c.value.Store(value)
}

// referrer is what can name KeyLimits: an ApiKey, a ServiceAccount or a Workspace.
type referrer interface {
	// dependents are the keys that the limits then hold for.
	dependents() iter.Seq[*apiKey]
}

// refer notes which limits a referrer names, in place of those it named before. The limits
// need not exist.
func (x *Index) refer(r referrer, namespace string, before, after []v1alpha1.LocalReference) {
	for _, ref := range after {
		x.limit(types.NamespacedName{Namespace: namespace, Name: ref.Name}).referrers[r] = struct{}{}
	}
	for _, ref := range before {
		if named(after, ref) {
			continue
		}
		name := types.NamespacedName{Namespace: namespace, Name: ref.Name}
		delete(x.limit(name).referrers, r)
		x.releaseLimit(name)
	}
}

func named(refs []v1alpha1.LocalReference, wanted v1alpha1.LocalReference) bool {
	for _, ref := range refs {
		if ref == wanted {
			return true
		}
	}
	return false
}
