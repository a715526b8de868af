package validation

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/scope"
)

// bounds is what the scopes of a key or of an account must keep to.
type bounds struct {
	workspace *v1alpha1.Workspace // nil: not known
	catalogue scope.Catalogue
	known     []string // all that the catalogue holds
	ceiling   *ceiling // nil: none, or not known
}

// ceiling is what an account bounds its keys to.
type ceiling struct {
	set scope.Set // with what it implies
	// what it is a ceiling of, and where it is stated
	whose, where string
}

func newBounds(workspace *v1alpha1.Workspace, account *v1alpha1.ServiceAccount) bounds {
	b := bounds{workspace: workspace}
	if workspace != nil {
		b.catalogue, b.known = catalogue(workspace)
	}
	if account != nil && len(account.Spec.Scopes) > 0 {
		return b.under(account.Spec.Scopes, fmt.Sprintf("ServiceAccount %q may do", account.Name), "spec.scopes")
	}
	return b
}

// under is the bounds with another ceiling, which no scopes at all are too.
func (b bounds) under(scopes []v1alpha1.Scope, whose, where string) bounds {
	b.ceiling = &ceiling{scope.Effective(strs(scopes), nil, b.catalogue), whose, where}
	return b
}

// check refuses the scopes that lie outside. Nothing would be granted beyond the bounds
// anyway, but whoever asks for more than they get should learn it now.
func (b bounds) check(path *field.Path, scopes []v1alpha1.Scope) (errs field.ErrorList) {
	for i, s := range scopes {
		switch {
		case scope.Validate(string(s)) != nil:
			// said already
		case b.workspace != nil && !b.catalogue.Allows(string(s)):
			errs = append(errs, field.Invalid(path.Index(i), string(s), fmt.Sprintf(
				"is not in the catalogue of Workspace %q, which has %s: use what it has, or add the scope to its spec.scopes",
				b.workspace.Name, some(b.known))))
		case b.ceiling != nil && !b.underCeiling(string(s)):
			errs = append(errs, field.Invalid(path.Index(i), string(s), fmt.Sprintf(
				"is more than %s, which is %s: ask for less, or add the scope to its %s",
				b.ceiling.whose, some(b.ceiling.set.List()), b.ceiling.where)))
		}
	}
	return errs
}

// underCeiling judges a wildcard by the scopes of the catalogue it stands for.
func (b bounds) underCeiling(s string) bool {
	if b.catalogue.Empty() {
		return b.ceiling.set.Has(s)
	}
	return !slices.ContainsFunc(b.known, func(known string) bool {
		return scope.Covers(s, known) && !b.ceiling.set.Has(known)
	})
}

func catalogue(workspace *v1alpha1.Workspace) (_ scope.Catalogue, known []string) {
	definitions := make([]scope.Definition, 0, len(workspace.Spec.Scopes))
	for _, d := range workspace.Spec.Scopes {
		implies := strs(d.Implies)
		definitions = append(definitions, scope.Definition{Name: string(d.Name), Implies: implies})
		known = append(append(known, string(d.Name)), implies...)
	}
	slices.Sort(known)
	return scope.NewCatalogue(definitions), slices.Compact(known)
}

// some names the first of a list that may be long.
func some(list []string) string {
	const shown = 8
	switch {
	case len(list) == 0:
		return "nothing"
	case len(list) <= shown:
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:shown], ", "), len(list)-shown)
}

func strs[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return out
}
