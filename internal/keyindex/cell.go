package keyindex

import (
	"iter"
	"maps"
	"slices"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/internal/limitstore/local"
)

// cell is the one place that all profiles under a Workspace or a ServiceAccount look at. It
// exists as soon as a key refers to it; its value is nil while there is no such object.
type cell[Value any] struct {
	value    atomic.Pointer[Value]
	subject  local.Subject // while there is the object: whose requests a shared limit counts
	profiles map[*profile]struct{}
	stops    int // how often it was stopped
}

func (c *cell[Value]) dependents() iter.Seq[*profile] { return maps.Keys(c.profiles) }

func (c *cell[Value]) join(p *profile) {
	if c.profiles == nil {
		c.profiles = map[*profile]struct{}{}
	}
	c.profiles[p] = struct{}{}
}

func (c *cell[Value]) leave(p *profile) { delete(c.profiles, p) }

// replace shows readers a new value and compiles the profiles under it anew. A value that stops
// them comes first, so that it never waits. Any other comes last: it must not meet a key that
// is still compiled to what was allowed, or unlimited, while nobody could use it. And it does not
// come at all where it was stopped again meanwhile; begun is how often it had been before.
func (c *cell[Value]) replace(value *Value, stops bool, begun int, compile func(iter.Seq[*profile])) {
	if stops {
		c.value.Store(value)
		compile(c.dependents())
		return
	}
	compile(c.dependents())
	c.resume(value, begun)
}

// resume shows readers a value that lets them go on, unless there was a stop since it had begun. A cell
// that was made meanwhile has had fewer: it is that of a new object.
func (c *cell[Value]) resume(value *Value, begun int) {
	if c.stops <= begun {
		c.value.Store(value)
	}
}

// stop shows readers a value that stops them.
func (c *cell[Value]) stop(value *Value) {
	c.stops++
	c.value.Store(value)
}

// referrer is what can name KeyLimits: a profile of ApiKeys, a ServiceAccount or a Workspace.
type referrer interface {
	// dependents are the profiles that the limits then hold for.
	dependents() iter.Seq[*profile]
}

func (p *profile) dependents() iter.Seq[*profile] {
	return func(yield func(*profile) bool) { yield(p) }
}

// refer notes which limits a referrer names, in place of those it named before. The limits
// need not exist.
func (x *Index) refer(r referrer, namespace string, before, after []string) {
	for _, name := range after {
		x.limit(types.NamespacedName{Namespace: namespace, Name: name}).referrers[r] = struct{}{}
	}
	for _, ref := range before {
		if slices.Contains(after, ref) {
			continue
		}
		name := types.NamespacedName{Namespace: namespace, Name: ref}
		delete(x.limit(name).referrers, r)
		x.releaseLimit(name)
	}
}
