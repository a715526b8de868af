package keylimit

import (
	"context"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/fieldindex"
)

// attachedKeys counts the keys that a limit holds for, each once: those that name it, those of
// an account that names it, and those of a workspace that does, or that does for their department or entity.
func (r *Reconciler) attachedKeys(ctx context.Context, limit *v1alpha1.KeyLimit) (int, error) {
	attached := map[string]bool{}
	add := func(index, value string, holds func(*v1alpha1.ApiKey) bool) error {
		var keys v1alpha1.ApiKeyList
		err := r.list(ctx, &keys, limit.Namespace, index, value)
		for i := range keys.Items {
			if holds(&keys.Items[i]) {
				attached[keys.Items[i].Name] = true
			}
		}
		return err
	}
	if err := add(fieldindex.ApiKeyLimit, limit.Name, always); err != nil {
		return 0, err
	}
	var accounts v1alpha1.ServiceAccountList
	if err := r.list(ctx, &accounts, limit.Namespace, fieldindex.ServiceAccountLimit, limit.Name); err != nil {
		return 0, err
	}
	for i := range accounts.Items {
		if err := add(fieldindex.ApiKeyServiceAccount, accounts.Items[i].Name, always); err != nil {
			return 0, err
		}
	}
	var workspaces v1alpha1.WorkspaceList
	if err := r.list(ctx, &workspaces, limit.Namespace, fieldindex.WorkspaceLimit, limit.Name); err != nil {
		return 0, err
	}
	for i := range workspaces.Items {
		holds := heldBy(&workspaces.Items[i].Spec, v1alpha1.LocalReference{Name: limit.Name})
		if err := add(fieldindex.ApiKeyWorkspace, workspaces.Items[i].Name, holds); err != nil {
			return 0, err
		}
	}
	return len(attached), nil
}

func always(*v1alpha1.ApiKey) bool { return true }

// heldBy tells which keys of a workspace it names a limit for.
func heldBy(spec *v1alpha1.WorkspaceSpec, limit v1alpha1.LocalReference) func(*v1alpha1.ApiKey) bool {
	if slices.Contains(spec.LimitRefs, limit) {
		return always
	}
	departments, entities := map[v1alpha1.EntityID]bool{}, map[v1alpha1.Entity]bool{}
	for _, d := range spec.Departments {
		departments[d.Name] = departments[d.Name] || slices.Contains(d.LimitRefs, limit)
	}
	for _, e := range spec.Entities {
		name := v1alpha1.Entity{Kind: e.Kind, ID: e.ID}
		entities[name] = entities[name] || slices.Contains(e.LimitRefs, limit)
	}
	return func(key *v1alpha1.ApiKey) bool {
		e := key.Spec.Entity
		return e != nil && (departments[e.Department] || entities[v1alpha1.Entity{Kind: e.Kind, ID: e.ID}])
	}
}

// list does not copy: what it finds is only looked at, and may be much.
func (r *Reconciler) list(ctx context.Context, list client.ObjectList, namespace, index, value string) error {
	return r.Cached.List(ctx, list, client.InNamespace(namespace), client.MatchingFields{index: value}, client.UnsafeDisableDeepCopy)
}
