package manifests

import (
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/scope"
)

// bounds are the Workspaces and ServiceAccounts that differ between two states.
type bounds struct {
	workspaces, accounts map[types.NamespacedName]bool
}

func boundsThatChange(from, to *state) bounds {
	return bounds{differing(from.workspaces, to.workspaces), differing(from.accounts, to.accounts)}
}

func differing[T any](from, to map[types.NamespacedName]*T) map[types.NamespacedName]bool {
	names := map[types.NamespacedName]bool{}
	for name, before := range from {
		if !same(before, to[name]) {
			names[name] = true
		}
	}
	for name := range to {
		if from[name] == nil {
			names[name] = true
		}
	}
	return names
}

func (b bounds) ofKey(k *v1alpha1.ApiKey) bool {
	if b.workspaces[types.NamespacedName{Namespace: k.Namespace, Name: k.Spec.WorkspaceRef.Name}] {
		return true
	}
	ref := k.Spec.ServiceAccountRef
	return ref != nil && b.accounts[types.NamespacedName{Namespace: k.Namespace, Name: ref.Name}]
}

func (b bounds) ofAccount(a *v1alpha1.ServiceAccount) bool {
	return b.workspaces[types.NamespacedName{Namespace: a.Namespace, Name: a.Spec.WorkspaceRef.Name}]
}

// narrowestKey is an ApiKey that may nothing that one of both may not, under whatever bounds. It
// is disabled where that cannot be said of a key: where it moves, or its grants change, which widen or
// narrow depending on the scopes beside them.
func narrowestKey(before, after *v1alpha1.ApiKey) *v1alpha1.ApiKey {
	k := after.DeepCopy()
	was, is := &before.Spec, &after.Spec
	scopes, _ := common(was.Scopes, is.Scopes, covers)
	networks, reachable := within(was.AllowedCIDRs, is.AllowedCIDRs, inside)
	k.Spec.Scopes, k.Spec.AllowedCIDRs = scopes, networks
	k.Spec.LimitRefs = both(was.LimitRefs, is.LimitRefs)
	k.Spec.ExpiresAt = soonest(was.ExpiresAt, is.ExpiresAt)
	if was.TTL != nil && (is.TTL == nil || was.TTL.Duration < is.TTL.Duration) {
		k.Spec.TTL = was.TTL
	}
	moves := was.WorkspaceRef != is.WorkspaceRef || !equality.Semantic.DeepEqual(was.ServiceAccountRef, is.ServiceAccountRef)
	switch {
	case was.State == v1alpha1.KeyRevoked || is.State == v1alpha1.KeyRevoked:
		k.Spec.State = v1alpha1.KeyRevoked
	case was.State == v1alpha1.KeyDisabled, moves, !reachable, !equality.Semantic.DeepEqual(was.Grants, is.Grants):
		k.Spec.State = v1alpha1.KeyDisabled
	}
	return k
}

// narrowestAccount does the same for the ceiling of an account, which is suspended where there
// is none in common.
func narrowestAccount(before, after *v1alpha1.ServiceAccount) *v1alpha1.ServiceAccount {
	a := after.DeepCopy()
	was, is := &before.Spec, &after.Spec
	scopes, some := within(was.Scopes, is.Scopes, covers)
	a.Spec.Scopes = scopes
	a.Spec.LimitRefs = both(was.LimitRefs, is.LimitRefs)
	if was.Suspended || !some || before.UID != after.UID || was.WorkspaceRef != is.WorkspaceRef || !equality.Semantic.DeepEqual(was.Grants, is.Grants) {
		a.Spec.Suspended = true
	}
	return a
}

// within finds what is in both of two lists of which an empty one bounds nothing. It is not ok
// where they have nothing in common, since an empty list would not say that.
func within[T ~string](a, b []T, covers func(a, b T) bool) (list []T, ok bool) {
	switch {
	case len(a) == 0:
		return b, true
	case len(b) == 0:
		return a, true
	}
	return common(a, b, covers)
}

// common finds what is listed in one and covered by the other. Wildcards that only overlap have
// nothing in common here, which is too little rather than too much.
func common[T ~string](a, b []T, covers func(a, b T) bool) (list []T, some bool) {
	covered := func(by []T, item T) bool {
		return slices.ContainsFunc(by, func(other T) bool { return covers(other, item) })
	}
	for _, item := range a {
		if covered(b, item) {
			list = append(list, item)
		}
	}
	for _, item := range b {
		if covered(a, item) && !slices.Contains(list, item) {
			list = append(list, item)
		}
	}
	return list, len(list) > 0
}

func covers(granted, wanted v1alpha1.Scope) bool {
	return scope.Covers(string(granted), string(wanted))
}

func inside(outer, inner v1alpha1.CIDR) bool {
	a, errA := netip.ParsePrefix(string(outer))
	b, errB := netip.ParsePrefix(string(inner))
	return errA == nil && errB == nil && a.Bits() <= b.Bits() && a.Overlaps(b)
}

func soonest(a, b *metav1.Time) *metav1.Time {
	if a == nil || b != nil && b.Before(a) {
		return b
	}
	return a
}

func both(a, b []v1alpha1.LocalReference) []v1alpha1.LocalReference {
	all := slices.Clone(a)
	for _, ref := range b {
		if !slices.Contains(all, ref) {
			all = append(all, ref)
		}
	}
	return all
}
