package keyindex

import (
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/scope"
)

// workspace is a Workspace that exists or that a key names; its object is nil if it does
// not exist.
type workspace struct {
	cell[policy.Workspace]
	object    *v1alpha1.Workspace
	catalogue scope.Catalogue
}

// SetWorkspace takes note of a Workspace, new or changed. The index keeps the object, which
// must not be changed afterwards.
func (x *Index) SetWorkspace(object *v1alpha1.Workspace) {
	x.mu.Lock()
	defer x.mu.Unlock()
	name := types.NamespacedName{Namespace: object.Namespace, Name: object.Name}
	w := x.workspace(name)
	if w.object != nil && w.object.UID != object.UID {
		// Deleted and made again while nobody looked: not the same tenant.
		x.deleteWorkspace(name)
		w = x.workspace(name)
	}
	before := w.object
	if before == nil {
		x.counts.Workspaces++
	}
	value := &policy.Workspace{ID: name.String(), Suspended: object.Spec.Suspended}
	w.object = object
	if before != nil && sameForKeys(&before.Spec, &object.Spec) {
		w.value.Store(value)
		return
	}
	w.catalogue = catalogue(object.Spec.Scopes)
	x.refer(w, name.Namespace, limitRefs(before), object.Spec.LimitRefs)
	w.replace(value, value.Suspended, x.compile)
}

// DeleteWorkspace takes note that a Workspace is gone. Its keys grant nothing from then on.
func (x *Index) DeleteWorkspace(name types.NamespacedName) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.deleteWorkspace(name)
}

func (x *Index) deleteWorkspace(name types.NamespacedName) {
	w := x.workspaces[name]
	if w == nil || w.object == nil {
		return
	}
	gone := w.object
	w.object, w.catalogue = nil, scope.Catalogue{}
	x.counts.Workspaces--
	w.replace(nil, true, x.compile)
	x.refer(w, name.Namespace, gone.Spec.LimitRefs, nil)
	x.buckets.ForgetSubject(gone.UID)
	x.releaseWorkspace(name)
}

// workspace finds the Workspace of a name, or makes room for it.
func (x *Index) workspace(name types.NamespacedName) *workspace {
	w := x.workspaces[name]
	if w == nil {
		w = &workspace{}
		x.workspaces[name] = w
	}
	return w
}

func (x *Index) releaseWorkspace(name types.NamespacedName) {
	if w := x.workspaces[name]; w != nil && w.object == nil && len(w.keys) == 0 {
		delete(x.workspaces, name)
	}
}

// sameForKeys says whether two states of a Workspace make no difference to what its keys are
// compiled to. Its suspension does not: that is looked at when a key is looked up.
func sameForKeys(a, b *v1alpha1.WorkspaceSpec) bool {
	return equality.Semantic.DeepEqual(a.Scopes, b.Scopes) && equality.Semantic.DeepEqual(a.LimitRefs, b.LimitRefs)
}

func limitRefs(object *v1alpha1.Workspace) []v1alpha1.LocalReference {
	if object == nil {
		return nil
	}
	return object.Spec.LimitRefs
}

func catalogue(entries []v1alpha1.ScopeDefinition) scope.Catalogue {
	definitions := make([]scope.Definition, len(entries))
	for i, entry := range entries {
		definitions[i] = scope.Definition{Name: string(entry.Name), Implies: texts(entry.Implies)}
	}
	return scope.NewCatalogue(definitions)
}
