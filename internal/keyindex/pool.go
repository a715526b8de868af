package keyindex

import (
	"strings"

	"github.com/claviger-dev/claviger/internal/network"
	"github.com/claviger-dev/claviger/internal/scope"
)

// pool keeps values that many profiles have in common, by what they were made of: of some
// thousand profiles most differ in one thing, and have the rest alike.
type pool[Value any] map[string]Value

// get finds a value, or makes it. What nobody has any more is let go when there is too much of it.
func (s *pool[Value]) get(of []string, profiles int, make func() Value) Value {
	// Each text is ended, not only separated: a list of nothing is not one of an empty text. No scope and
	// no network holds the end.
	var text strings.Builder
	for _, t := range of {
		text.WriteString(t)
		text.WriteByte('\n')
	}
	key := text.String()
	if value, known := (*s)[key]; known {
		return value
	}
	if *s == nil || len(*s) > 1024+2*profiles {
		*s = pool[Value]{}
	}
	value := make()
	(*s)[key] = value
	return value
}

// share returns a set that is the same, and perhaps is known already.
func (x *Index) share(set scope.Set) scope.Set {
	return x.sets.get(set.List(), len(x.byContent), func() scope.Set { return set })
}

// networksOf are those that keys may be used from; nil: anywhere.
func (x *Index) networksOf(cidrs []string) *network.Set {
	if len(cidrs) == 0 {
		return nil
	}
	return x.networks.get(cidrs, len(x.byContent), func() *network.Set { return networks(cidrs) })
}

// pool puts texts that other profiles have too in the place of a spec's own.
func (x *Index) pool(spec *profileSpec) {
	for _, text := range []*string{&spec.Namespace, &spec.Workspace, &spec.Account, &spec.Environment} {
		*text = x.texts.get([]string{*text}, len(x.byContent), func() string { return *text })
	}
	for _, list := range []*[]string{&spec.Scopes, &spec.LimitRefs, &spec.AllowedCIDRs} {
		if len(*list) > 0 {
			*list = x.lists.get(*list, len(x.byContent), func() []string { return *list })
		}
	}
}
