package keyindex

import (
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/limitstore/local"
)

// keyLimit is a KeyLimit that exists or that something names; its object is nil if it does
// not exist.
type keyLimit struct {
	object    *v1alpha1.KeyLimit
	rules     []local.Rule
	referrers map[referrer]struct{}
}

// counts says whether the limit is one to be kept to.
func (l *keyLimit) counts() bool {
	return l.object != nil && (l.object.Spec.Enabled == nil || *l.object.Spec.Enabled)
}

// SetKeyLimit takes note of a KeyLimit, new or changed. The index keeps the object, which must
// not be changed afterwards.
func (x *Index) SetKeyLimit(object *v1alpha1.KeyLimit) {
	defer x.lockWide()()
	name := types.NamespacedName{Namespace: object.Namespace, Name: object.Name}
	l := x.limit(name)
	before := l.object
	l.object = object
	if before == nil || before.UID != object.UID || !reflect.DeepEqual(before.Spec, object.Spec) {
		x.changed()
	}
	switch {
	case before == nil:
		x.counts.KeyLimits++
	case before.UID == object.UID && sameLimit(&before.Spec, &object.Spec):
		return
	}
	var gone []local.Counter
	l.rules, gone = x.buckets.Define(object.UID, rulesOf(&object.Spec), x.now())
	x.compileReferrers(l)
	x.buckets.Forget(gone)
	if before != nil && before.UID != object.UID {
		// Deleted and made again while nobody looked: what was used of it is not this one's.
		x.buckets.ForgetLimit(before.UID)
	}
}

// DeleteKeyLimit takes note that a KeyLimit is gone. It is not kept to from then on.
func (x *Index) DeleteKeyLimit(name types.NamespacedName) {
	defer x.lockWide()()
	l := x.limits[name]
	if l == nil || l.object == nil {
		return
	}
	x.changed()
	uid := l.object.UID
	l.object, l.rules = nil, nil
	x.counts.KeyLimits--
	x.compileReferrers(l)
	x.buckets.ForgetLimit(uid)
	x.releaseLimit(name)
}

// RetainKeyLimits drops the KeyLimits that keep does not accept, as after a full list.
func (x *Index) RetainKeyLimits(keep func(types.NamespacedName) bool) {
	for _, name := range missing(x, x.limits, func(l *keyLimit) bool { return l.object != nil }, keep) {
		x.DeleteKeyLimit(name)
	}
}

func (x *Index) compileReferrers(l *keyLimit) {
	x.compile(func(yield func(*profile) bool) {
		for r := range l.referrers {
			for p := range r.dependents() {
				if !yield(p) {
					return
				}
			}
		}
	})
}

// limit finds the KeyLimit of a name, or makes room for it.
func (x *Index) limit(name types.NamespacedName) *keyLimit {
	l := x.limits[name]
	if l == nil {
		l = &keyLimit{referrers: map[referrer]struct{}{}}
		x.limits[name] = l
	}
	return l
}

func (x *Index) releaseLimit(name types.NamespacedName) {
	if l := x.limits[name]; l != nil && l.object == nil && len(l.referrers) == 0 {
		delete(x.limits, name)
	}
}

func sameLimit(a, b *v1alpha1.KeyLimitSpec) bool {
	return (a.Enabled == nil || *a.Enabled) == (b.Enabled == nil || *b.Enabled) &&
		a.Sharing == b.Sharing && a.Mode == b.Mode && a.Consistency == b.Consistency &&
		slices.EqualFunc(rulesOf(a), rulesOf(b), func(a, b limit.Rule) bool { return a.Equal(&b) })
}
