package scope

import (
	"slices"
	"strings"
)

// Grant is what may be done to one resource or, where its name ends in *, to each whose
// name begins so. Without scopes it is nothing.
type Grant struct {
	Resource string
	Scopes   []string
}

// Longest finds the grant that holds for a resource, or for all that a name with a * at
// its end stands for: of those that match, the longest one, and one without a * before one with. -1:
// none does.
func Longest(grants []Grant, resource string) int {
	return longest(patterns(grants), patternOf(resource))
}

// Grants are the resources for which something else holds than for all others, each with
// what a key may really do to it. The zero value has none.
type Grants struct {
	exact    []named    // in order
	prefixes []prefixed // in order: a prefix stands behind those that it begins with
}

type named struct {
	text string
	set  Set
}

type prefixed struct {
	text   string
	parent int // the longest of the others that text begins with; -1: none
	set    Set
}

// For returns what may be done to a resource. False says that no grant matches, and what holds
// without a resource holds. It needs no memory.
func (g Grants) For(resource string) (Set, bool) {
	if i, ok := slices.BinarySearchFunc(g.exact, resource, func(n named, name string) int { return strings.Compare(n.text, name) }); ok {
		return g.exact[i].set, true
	}
	for i := g.behind(resource); i >= 0; i = g.prefixes[i].parent {
		if strings.HasPrefix(resource, g.prefixes[i].text) {
			return g.prefixes[i].set, true
		}
	}
	return Set{}, false
}

// behind finds the last prefix that does not come after a name; -1: all do. Whatever prefixes the
// name has are that one or those that it begins with in turn.
func (g Grants) behind(name string) int {
	i, found := slices.BinarySearchFunc(g.prefixes, name, func(p prefixed, name string) int { return strings.Compare(p.text, name) })
	if found {
		return i
	}
	return i - 1
}

// Share puts another set that is the same in the place of each, so that memory can be shared.
func (g *Grants) Share(same func(Set) Set) {
	for i := range g.exact {
		g.exact[i].set = same(g.exact[i].set)
	}
	for i := range g.prefixes {
		g.prefixes[i].set = same(g.prefixes[i].set)
	}
}

// CompileGrants says what a key may really do to single resources. The longest grant of
// the key that matches stands in the place of its scopes, and the longest one of its account in the place
// of the account's ceiling. An empty ceiling is none, but an account's grant without
// scopes permits nothing. A key with grants and no scopes may do nothing to any other resource.
func CompileGrants(key, account []Grant, scopes, ceiling []string, c Catalogue) Grants {
	return NewResourceBounds(account, ceiling, c).Compile(key, scopes)
}

// ResourceBounds are an account's grants and ceiling under a catalogue, prepared for all the
// keys that they hold for.
type ResourceBounds struct {
	patterns []pattern // of the account's grants
	bounds   []Bounds  // the different ones
	at       []int     // of each grant, its bounds
	general  Bounds
}

// NewResourceBounds prepares bounds. An empty ceiling is none.
func NewResourceBounds(grants []Grant, ceiling []string, c Catalogue) ResourceBounds {
	different, at := distinct(grants)
	b := ResourceBounds{patterns: patterns(grants), at: at, general: NewBounds(ceiling, c)}
	for _, scopes := range different {
		if len(scopes) == 0 {
			b.bounds = append(b.bounds, Bounds{c, &Set{}})
			continue
		}
		b.bounds = append(b.bounds, NewBounds(scopes, c))
	}
	return b
}

// Effective is what a key with these bounds may really do where no grant matches.
func (b ResourceBounds) Effective(granted []string) Set { return b.general.Effective(granted) }

// Compile is what a key with these bounds may really do to single resources. Patterns
// lie one in the other or apart, so what holds for one is decided by those around it.
func (b ResourceBounds) Compile(key []Grant, scopes []string) Grants {
	granted := patterns(key)
	different, at := distinct(key)
	all := slices.Concat(granted, b.patterns)
	if len(key) > 0 && len(scopes) == 0 {
		all = append(all, pattern{wild: true})
	}
	slices.SortFunc(all, pattern.compare)

	// Most resources share what may be done to them, and then they share the set.
	type pair struct{ scopes, bounds int }
	sets := make(map[pair]Set)
	var compiled Grants
	for _, p := range slices.Compact(all) {
		which := pair{-1, -1}
		bounds, wanted := b.general, scopes
		if i := longest(granted, p); i >= 0 {
			which.scopes, wanted = at[i], different[at[i]]
		}
		if i := longest(b.patterns, p); i >= 0 {
			which.bounds, bounds = b.at[i], b.bounds[b.at[i]]
		}
		set, known := sets[which]
		if !known {
			set = bounds.Effective(wanted)
			sets[which] = set
		}
		compiled.add(p, set)
	}
	return compiled
}

// distinct returns the different lists of scopes in grants, and of each grant which it has.
func distinct(grants []Grant) (different [][]string, at []int) {
	for _, g := range grants {
		i := slices.IndexFunc(different, func(scopes []string) bool { return slices.Equal(scopes, g.Scopes) })
		if i < 0 {
			i = len(different)
			different = append(different, g.Scopes)
		}
		at = append(at, i)
	}
	return different, at
}

// add takes patterns in their order.
func (g *Grants) add(p pattern, set Set) {
	if !p.wild {
		g.exact = append(g.exact, named{p.text, set})
		return
	}
	parent := len(g.prefixes) - 1
	for parent >= 0 && !strings.HasPrefix(p.text, g.prefixes[parent].text) {
		parent = g.prefixes[parent].parent
	}
	g.prefixes = append(g.prefixes, prefixed{p.text, parent, set})
}
