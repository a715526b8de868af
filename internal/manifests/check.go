package manifests

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/validation"
)

// check asks what takes a look at other objects. A cluster waits for one that is missing; here
// all that there will be is there, so a reference to nothing is a mistake.
func (l *loader) check() {
	for name, w := range l.state.workspaces {
		l.report("Workspace", name, append(validation.Workspace(w), l.checkLimitsOfWorkspace(name.Namespace, &w.Spec)...))
	}
	for name, a := range l.state.accounts {
		workspace, errs := refer(l.state.workspaces, name.Namespace, "workspaceRef", &a.Spec.WorkspaceRef)
		errs = append(errs, validation.ServiceAccount(a, workspace)...)
		l.report("ServiceAccount", name, append(errs, l.checkLimits(name.Namespace, specPath, a.Spec.LimitRefs)...))
	}
	for name, k := range l.state.limits {
		l.report("KeyLimit", name, validation.KeyLimit(k))
	}
	l.checkKeys()
	l.checkHashes()
	slices.SortStableFunc(l.mistakes, func(a, b Mistake) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	slices.Sort(l.warnings)
}

func (l *loader) report(kind string, name types.NamespacedName, errs field.ErrorList) {
	if len(errs) > 0 && !l.mistakes.full() {
		l.mistakes.add(l.origins[kind+" "+name.String()].mistakes(errs)...)
	}
}

// refer finds what a reference names; nil where there is no reference, or nothing of that name.
func refer[T any](in map[types.NamespacedName]*T, namespace, name string, ref *v1alpha1.LocalReference) (*T, field.ErrorList) {
	if ref == nil {
		return nil, nil
	}
	found := in[types.NamespacedName{Namespace: namespace, Name: ref.Name}]
	if found == nil {
		return nil, field.ErrorList{field.NotFound(field.NewPath("spec", name, "name"), ref.Name)}
	}
	return found, nil
}

func (l *loader) checkLimits(namespace string, path *field.Path, refs []v1alpha1.LocalReference) (errs field.ErrorList) {
	for i, ref := range refs {
		if l.state.limits[types.NamespacedName{Namespace: namespace, Name: ref.Name}] == nil {
			errs = append(errs, field.NotFound(path.Child("limitRefs").Index(i).Child("name"), ref.Name))
		}
	}
	return errs
}

// checkKeys counts each key against the maxima together with those that were read before it, so
// that the mistake is with the first that is one too many.
func (l *loader) checkKeys() {
	taken := newPlaces()
	for _, name := range l.keys {
		key := l.state.keys[name]
		workspace, errs := refer(l.state.workspaces, name.Namespace, "workspaceRef", &key.Spec.WorkspaceRef)
		account, missing := refer(l.state.accounts, name.Namespace, "serviceAccountRef", key.Spec.ServiceAccountRef)
		errs = append(append(errs, missing...), l.checkLimits(name.Namespace, specPath, key.Spec.LimitRefs)...)
		l.takeUp(name, key, workspace)
		refs := validation.References{
			Workspace: workspace, ServiceAccount: account,
			// A key that is over is no mistake: nothing that is right today must be wrong tomorrow.
			IssuedAt: cmp.Or(l.issuedAt(name), l.now),
		}
		taken.tell(&refs, key)
		errs = append(errs, validation.ApiKey(key, refs, l.now)...)
		l.report("ApiKey", name, errs)
		taken.take(&refs, key, l.now)
	}
}

// checkHashes tells of hashes that are for nobody. They grant nothing: taking an ApiKey away is
// all it takes to revoke it.
func (l *loader) checkHashes() {
	for name, all := range l.material {
		if l.state.keys[name] != nil {
			continue
		}
		for _, m := range all {
			l.warn(&m.from.origin, "the hash is for ApiKey %s, which is not declared: it grants nothing", name)
		}
	}
}

func missingKey(key *v1alpha1.ApiKey) string {
	return fmt.Sprintf("ApiKey %s/%s has no key yet, so nobody can use it: put a Secret %q beside it, or a hash, such as `claviger key` prints",
		key.Namespace, key.Name, key.SecretName())
}

var specPath = field.NewPath("spec")

func (l *loader) checkLimitsOfWorkspace(namespace string, spec *v1alpha1.WorkspaceSpec) field.ErrorList {
	errs := l.checkLimits(namespace, specPath, spec.LimitRefs)
	for i, d := range spec.Departments {
		errs = append(errs, l.checkLimits(namespace, specPath.Child("departments").Index(i), d.LimitRefs)...)
	}
	for i, e := range spec.Entities {
		errs = append(errs, l.checkLimits(namespace, specPath.Child("entities").Index(i), e.LimitRefs)...)
	}
	return errs
}
