package manifests

import (
	"errors"
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/keyindex"
)

// apply takes an index from one state to another.
func apply(x *keyindex.Index, from, to *state) error {
	var errs []error
	for _, step := range steps(x, from, to) {
		errs = append(errs, step())
	}
	return errors.Join(errs...)
}

// steps are what apply does, in an order in which a key never may what it might neither before nor
// after. An index takes one object at a time, and requests are answered meanwhile, so new scopes
// of a Workspace could meet a key that is about to lose its own. Hence credentials, keys and accounts first
// become what both states allow; then what they are bounded by changes, from the outside to the
// inside; then they become what they are to be. Whatever a step of the last kind meets is
// already new, and whatever one of the first kind meets is still old. A request that both states
// allow is refused meanwhile only where narrowest says so.
//
// Limits are no part of this: how much a key may use is counted over time. But what is gone goes
// first, and what is no longer referred to last, so that no key is free of a limit in between.
func steps(x *keyindex.Index, from, to *state) []func() error {
	return []func() error{
		func() error { return revoke(x, from, to) },
		func() error { return narrow(x, from, to) },
		func() error { return set(from.limits, to.limits, quiet(x.SetKeyLimit)) },
		func() error { return set(from.workspaces, to.workspaces, quiet(x.SetWorkspace)) },
		func() error { return set(from.accounts, to.accounts, quiet(x.SetServiceAccount)) },
		func() error { return set(from.keys, to.keys, x.SetApiKey) },
		func() error { return issue(x, from, to) },
		func() error {
			remove(from.accounts, to.accounts, x.DeleteServiceAccount)
			remove(from.workspaces, to.workspaces, x.DeleteWorkspace)
			remove(from.limits, to.limits, x.DeleteKeyLimit)
			return nil
		},
	}
}

// revoke takes away what is gone, and what of credentials ends earlier.
func revoke(x *keyindex.Index, from, to *state) (err error) {
	for id, before := range from.credentials {
		if after, stays := to.credentials[id]; !stays || after.Hash != before.Hash {
			x.DeleteCredential(id.apiKey, id.generation)
		} else if !reflect.DeepEqual(before, after) {
			err = errors.Join(err, x.SetCredential(earlier(before, after)))
		}
	}
	for name, key := range from.keys {
		if now := to.keys[name]; now == nil || now.UID != key.UID {
			x.DeleteApiKey(key.UID)
		}
	}
	return err
}

// narrow leaves to keys and accounts what they may both before and after. What changes alone is
// changed at once, so it needs nothing of that.
func narrow(x *keyindex.Index, from, to *state) (err error) {
	changed := boundsThatChange(from, to)
	for name, before := range from.keys {
		after := to.keys[name]
		if after == nil || after.UID != before.UID || equality.Semantic.DeepEqual(before.Spec, after.Spec) {
			continue
		}
		if changed.ofKey(before) || changed.ofKey(after) {
			err = errors.Join(err, x.SetApiKey(narrowestKey(before, after)))
		}
	}
	for name, before := range from.accounts {
		after := to.accounts[name]
		if after == nil || equality.Semantic.DeepEqual(before.Spec, after.Spec) {
			continue
		}
		if changed.ofAccount(before) || changed.ofAccount(after) {
			x.SetServiceAccount(narrowestAccount(before, after))
		}
	}
	return err
}

// issue comes last: a key is not known before it is what it is to be.
func issue(x *keyindex.Index, from, to *state) (err error) {
	for id, c := range to.credentials {
		if before, there := from.credentials[id]; !there || !reflect.DeepEqual(before, c) {
			err = errors.Join(err, x.SetCredential(c))
		}
	}
	return err
}

// earlier is what ends with whichever of both ends first.
func earlier(before, after credential.Credential) credential.Credential {
	c := after
	if before.IssuedAt.Before(after.IssuedAt) {
		c.IssuedAt = before.IssuedAt // a ttl counts from it
	}
	c.NotAfter = first(before.NotAfter, after.NotAfter)
	return c
}

// first is the earlier of two ends; nil: never.
func first(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.Before(*a) {
		return b
	}
	return a
}

// set passes on what is new or changed.
func set[T any](from, to map[types.NamespacedName]*T, set func(*T) error) error {
	var errs []error
	for name, object := range to {
		if same(from[name], object) {
			continue
		}
		errs = append(errs, set(object))
	}
	return errors.Join(errs...)
}

func same[T any](before, after *T) bool {
	return before != nil && after != nil && equality.Semantic.DeepEqual(before, after)
}

func remove[T any](from, to map[types.NamespacedName]*T, remove func(types.NamespacedName)) {
	for name := range from {
		if to[name] == nil {
			remove(name)
		}
	}
}

func quiet[T any](set func(*T)) func(*T) error {
	return func(object *T) error {
		set(object)
		return nil
	}
}
