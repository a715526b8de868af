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

// workspace is a Workspace that exists or that a key names; its object is nil if it does
// not exist.
type workspace struct {
	cell[policy.Workspace]
	id        string // namespace/name
	object    *v1alpha1.Workspace
	catalogue *scope.Catalogue // nil: the empty one
	edition   int              // of the catalogue
	// The limits that the object names for single entities and departments.
	entities    map[entityName][]string
	departments map[string][]string
}

// SetWorkspace takes note of a Workspace, new or changed. The index keeps the object, which
// must not be changed afterwards.
func (x *Index) SetWorkspace(object *v1alpha1.Workspace) {
	name := types.NamespacedName{Namespace: object.Namespace, Name: object.Name}
	if object.Spec.Suspended {
		x.suspendWorkspace(name, &object.Spec)
	}
	begun := x.stopsOfWorkspace(name)
	defer x.lockWide()()
	value := x.policyOf(&object.Spec, object.Spec.Suspended)
	w := x.workspace(name)
	if w.object != nil && w.object.UID != object.UID {
		// Deleted and made again while nobody looked: not the same tenant.
		x.deleteWorkspace(name)
		w = x.workspace(name)
	}
	before := w.object
	if before == nil {
		x.counts.Workspaces++
		w.subject = local.SubjectOf("workspace", string(object.UID))
		x.buckets.ReviveSubject(w.subject)
	}
	w.object = object
	if before == nil || !reflect.DeepEqual(before.Spec, object.Spec) {
		x.changed()
	}
	if before != nil && sameForKeys(&before.Spec, &object.Spec) {
		w.resume(value, begun)
		return
	}
	w.setCatalogue(x.catalogueOf(object.Spec.Scopes))
	w.entities, w.departments = limitsByEntity(&object.Spec)
	x.refer(w, name.Namespace, limitRefs(before), limitRefs(object))
	w.replace(value, value.Suspended, begun, x.compile)
}

// DeleteWorkspace takes note that a Workspace is gone. Its keys grant nothing from then on.
func (x *Index) DeleteWorkspace(name types.NamespacedName) {
	x.stopWorkspace(name, func(*workspace) *policy.Workspace { return nil })
	defer x.lockWide()()
	x.deleteWorkspace(name)
}

// RetainWorkspaces drops the Workspaces that keep does not accept, as after a full list.
func (x *Index) RetainWorkspaces(keep func(types.NamespacedName) bool) {
	for _, name := range missing(x, x.workspaces, func(w *workspace) bool { return w.object != nil }, keep) {
		x.DeleteWorkspace(name)
	}
}

// StopWorkspace shows readers at once that a Workspace is suspended, for whoever can only say later all
// that has changed of it. A SetWorkspace that has begun does not undo it; the next one does.
func (x *Index) StopWorkspace(name types.NamespacedName) { x.suspendWorkspace(name, nil) }

// suspendWorkspace shows it suspended, with its new spec or, where that is nil, the one that is known.
func (x *Index) suspendWorkspace(name types.NamespacedName, spec *v1alpha1.WorkspaceSpec) {
	x.stopWorkspace(name, func(w *workspace) *policy.Workspace {
		if spec == nil {
			spec = &w.object.Spec
		}
		return x.policyOf(spec, true)
	})
}

// stopWorkspace shows readers at once that a Workspace is suspended or gone. The rest may have
// to wait for keys of others that are being compiled.
func (x *Index) stopWorkspace(name types.NamespacedName, value func(*workspace) *policy.Workspace) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if w := x.workspaces[name]; w != nil && w.object != nil {
		w.stop(value(w))
	}
}

func (x *Index) stopsOfWorkspace(name types.NamespacedName) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	if w := x.workspaces[name]; w != nil {
		return w.stops
	}
	return 0
}

func (x *Index) deleteWorkspace(name types.NamespacedName) {
	w := x.workspaces[name]
	if w == nil || w.object == nil {
		return
	}
	x.changed()
	gone := w.object
	w.object = nil
	w.setCatalogue(nil)
	x.counts.Workspaces--
	w.replace(nil, true, 0, x.compile)
	w.entities, w.departments = nil, nil
	x.refer(w, name.Namespace, limitRefs(gone), nil)
	x.buckets.ForgetSubject(w.subject)
	x.releaseWorkspace(name)
}

func (w *workspace) setCatalogue(c *scope.Catalogue) {
	w.catalogue = c
	w.edition++
}

// bounds are those of keys that act for no account.
func (w *workspace) bounds() scope.ResourceBounds {
	return scope.NewResourceBounds(nil, nil, w.bounding())
}

func (w *workspace) bounding() scope.Catalogue {
	if w.catalogue == nil {
		return scope.Catalogue{}
	}
	return *w.catalogue
}

// workspace finds the Workspace of a name, or makes room for it.
func (x *Index) workspace(name types.NamespacedName) *workspace {
	w := x.workspaces[name]
	if w == nil {
		w = &workspace{id: name.String()}
		x.workspaces[name] = w
	}
	return w
}

func (x *Index) releaseWorkspace(name types.NamespacedName) {
	if w := x.workspaces[name]; w != nil && w.object == nil && len(w.profiles) == 0 {
		delete(x.workspaces, name)
	}
}

// missing lists what exists and is not to be kept.
func missing[Object any](x *Index, all map[types.NamespacedName]Object, exists func(Object) bool, keep func(types.NamespacedName) bool) []types.NamespacedName {
	x.mu.Lock()
	defer x.mu.Unlock()
	var list []types.NamespacedName
	for name, object := range all {
		if exists(object) && !keep(name) {
			list = append(list, name)
		}
	}
	return list
}

// sameForKeys says whether two states of a Workspace make no difference to what its keys are
// compiled to. Its suspension does not: that is looked at when a key is looked up.
func sameForKeys(a, b *v1alpha1.WorkspaceSpec) bool {
	return slices.EqualFunc(a.Scopes, b.Scopes, sameDefinition) && slices.Equal(a.LimitRefs, b.LimitRefs) &&
		reflect.DeepEqual(a.Entities, b.Entities) && reflect.DeepEqual(a.Departments, b.Departments)
}

// sameDefinition ignores the description, which is for people.
func sameDefinition(a, b v1alpha1.ScopeDefinition) bool {
	return a.Name == b.Name && slices.Equal(a.Implies, b.Implies)
}

// limitRefs are all limits that a Workspace names, for whomever.
func limitRefs(object *v1alpha1.Workspace) []string {
	if object == nil {
		return nil
	}
	return names(object.AllLimitRefs())
}

// catalogueOf prepares a catalogue. Tenants are often made alike, and then share it.
func (x *Index) catalogueOf(entries []v1alpha1.ScopeDefinition) *scope.Catalogue {
	if len(entries) == 0 {
		return nil
	}
	var of []string
	for _, entry := range entries {
		of = append(append(of, string(entry.Name)), texted(entry.Implies)...)
		of = append(of, "")
	}
	return x.catalogues.get(of, len(x.workspaces), func() *scope.Catalogue {
		c := catalogue(entries)
		return &c
	})
}

func catalogue(entries []v1alpha1.ScopeDefinition) scope.Catalogue {
	definitions := make([]scope.Definition, len(entries))
	for i, entry := range entries {
		definitions[i] = scope.Definition{Name: string(entry.Name), Implies: texted(entry.Implies)}
	}
	return scope.NewCatalogue(definitions)
}
