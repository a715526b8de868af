package keyindex

import (
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/limitstore/local"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/scope"
)

// account is a ServiceAccount that exists or that a key names; its object is nil if it does
// not exist.
type account struct {
	cell[policy.Account]
	object  *v1alpha1.ServiceAccount
	edition int // of the object
	ceiling ceiling
}

// ceiling is what an account's scopes come to under a workspace's catalogue, kept because it
// is the same for all of its keys.
type ceiling struct {
	workspace          *workspace
	catalogue, account int // the editions it was made of
	bounds             scope.ResourceBounds
}

// boundsUnder are the bounds of the account's keys in a workspace.
func (a *account) boundsUnder(w *workspace) scope.ResourceBounds {
	if c := &a.ceiling; c.workspace != w || c.catalogue != w.edition || c.account != a.edition {
		a.ceiling = ceiling{w, w.edition, a.edition, scope.NewResourceBounds(wellFormedGrants(grantsOf(a.object.Spec.Grants)), a.scopes(), w.bounding())}
	}
	return a.ceiling.bounds
}

// scopes are the account's. Without any there is no ceiling, so where all of them are malformed
// one that covers nothing is left.
func (a *account) scopes() []string {
	scopes := wellFormed(texted(a.object.Spec.Scopes))
	if len(scopes) == 0 && len(a.object.Spec.Scopes) > 0 {
		return []string{""}
	}
	return scopes
}

var activeAccount, suspendedAccount = &policy.Account{}, &policy.Account{Suspended: true}

func accountValue(suspended bool) *policy.Account {
	if suspended {
		return suspendedAccount
	}
	return activeAccount
}

// SetServiceAccount takes note of a ServiceAccount, new or changed. The index keeps the
// object, which must not be changed afterwards.
func (x *Index) SetServiceAccount(object *v1alpha1.ServiceAccount) {
	name := types.NamespacedName{Namespace: object.Namespace, Name: object.Name}
	value := accountValue(object.Spec.Suspended)
	if value.Suspended {
		x.stopAccount(name, value)
	}
	begun := x.stopsOfAccount(name)
	defer x.lockWide()()
	a := x.account(name)
	if a.object != nil && a.object.UID != object.UID {
		// Deleted and made again while nobody looked: not the same identity.
		x.deleteAccount(name)
		a = x.account(name)
	}
	before := a.object
	a.object = object
	if before == nil || !reflect.DeepEqual(before.Spec, object.Spec) {
		x.changed()
	}
	a.edition++
	if before != nil && sameCeiling(&before.Spec, &object.Spec) {
		a.resume(value, begun)
		return
	}
	var refsBefore []string
	if before != nil {
		refsBefore = names(before.Spec.LimitRefs)
	} else {
		x.counts.ServiceAccounts++
		a.subject = local.SubjectOf("account", string(object.UID))
		x.buckets.ReviveSubject(a.subject)
	}
	x.refer(a, name.Namespace, refsBefore, names(object.Spec.LimitRefs))
	a.replace(value, value.Suspended, begun, x.compile)
}

// DeleteServiceAccount takes note that a ServiceAccount is gone. Its keys grant nothing from
// then on.
func (x *Index) DeleteServiceAccount(name types.NamespacedName) {
	x.stopAccount(name, nil)
	defer x.lockWide()()
	x.deleteAccount(name)
}

// RetainServiceAccounts drops the ServiceAccounts that keep does not accept, as after a full list.
func (x *Index) RetainServiceAccounts(keep func(types.NamespacedName) bool) {
	for _, name := range missing(x, x.accounts, func(a *account) bool { return a.object != nil }, keep) {
		x.DeleteServiceAccount(name)
	}
}

// StopServiceAccount shows readers at once that a ServiceAccount is suspended, as StopWorkspace does.
func (x *Index) StopServiceAccount(name types.NamespacedName) { x.stopAccount(name, suspendedAccount) }

// stopAccount shows readers at once that a ServiceAccount is suspended or gone, as
// stopWorkspace does.
func (x *Index) stopAccount(name types.NamespacedName, value *policy.Account) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if a := x.accounts[name]; a != nil && a.object != nil {
		a.stop(value)
	}
}

func (x *Index) stopsOfAccount(name types.NamespacedName) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	if a := x.accounts[name]; a != nil {
		return a.stops
	}
	return 0
}

func (x *Index) deleteAccount(name types.NamespacedName) {
	a := x.accounts[name]
	if a == nil || a.object == nil {
		return
	}
	x.changed()
	gone := a.object
	a.object = nil
	a.edition++
	x.counts.ServiceAccounts--
	a.replace(nil, true, 0, x.compile)
	x.refer(a, name.Namespace, names(gone.Spec.LimitRefs), nil)
	x.buckets.ForgetSubject(a.subject)
	x.releaseAccount(name)
}

// account finds the ServiceAccount of a name, or makes room for it.
func (x *Index) account(name types.NamespacedName) *account {
	a := x.accounts[name]
	if a == nil {
		a = &account{}
		x.accounts[name] = a
	}
	return a
}

func (x *Index) releaseAccount(name types.NamespacedName) {
	if a := x.accounts[name]; a != nil && a.object == nil && len(a.profiles) == 0 {
		delete(x.accounts, name)
	}
}

// sameCeiling says whether two states of a ServiceAccount make no difference to what its keys
// are compiled to. Its suspension does not: that is looked at when a key is looked up.
func sameCeiling(a, b *v1alpha1.ServiceAccountSpec) bool {
	return a.WorkspaceRef == b.WorkspaceRef &&
		slices.Equal(a.Scopes, b.Scopes) && slices.EqualFunc(a.Grants, b.Grants, sameGrant) && slices.Equal(a.LimitRefs, b.LimitRefs)
}

func sameGrant(a, b v1alpha1.Grant) bool {
	return a.Resource == b.Resource && slices.Equal(a.Scopes, b.Scopes)
}
