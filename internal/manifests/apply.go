package manifests

import (
	"errors"
	"reflect"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/internal/keyindex"
)

// apply takes an index from one state to another. What is gone goes first, and what is no longer
// referred to last, so that no key is free of a limit in between.
func apply(x *keyindex.Index, from, to *state) error {
	for id := range from.credentials {
		if _, stays := to.credentials[id]; !stays {
			x.DeleteCredential(id.apiKey, id.generation)
		}
	}
	for name, key := range from.keys {
		if now := to.keys[name]; now == nil || now.UID != key.UID {
			x.DeleteApiKey(key.UID)
		}
	}
	err := errors.Join(
		set(from.limits, to.limits, quiet(x.SetKeyLimit)),
		set(from.workspaces, to.workspaces, quiet(x.SetWorkspace)),
		set(from.accounts, to.accounts, quiet(x.SetServiceAccount)),
		set(from.keys, to.keys, x.SetApiKey),
	)
	for id, c := range to.credentials {
		if before, there := from.credentials[id]; !there || !reflect.DeepEqual(before, c) {
			err = errors.Join(err, x.SetCredential(c))
		}
	}
	remove(from.accounts, to.accounts, x.DeleteServiceAccount)
	remove(from.workspaces, to.workspaces, x.DeleteWorkspace)
	remove(from.limits, to.limits, x.DeleteKeyLimit)
	return err
}

// set passes on what is new or changed.
func set[T any](from, to map[types.NamespacedName]*T, set func(*T) error) error {
	var errs []error
	for name, object := range to {
		if before := from[name]; before == nil || !equality.Semantic.DeepEqual(before, object) {
			errs = append(errs, set(object))
		}
	}
	return errors.Join(errs...)
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
