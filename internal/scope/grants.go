package scope

import (
	"cmp"
	"slices"
	"strings"
)

// Grant is what may be done to the resource of that name or, where the name ends in *, to
// each whose name begins so. Without scopes it is nothing.
type Grant struct {
	Resource string
	Scopes   []string
}

// Grants are the resources for which something else holds than for all others, each with
// what a key may really do to it. The zero value has none.
type Grants struct {
	exact    map[string]Set
	prefixes []prefixed // in order: a prefix stands behind those that it begins with
}

type prefixed struct {
	text   string
	parent int // the longest of the others that text begins with; -1: none
	set    Set
}

// For returns what may be done to a resource. False says that no grant matches, and what holds
// without a resource holds. It needs no memory.
func (g Grants) For(resource string) (Set, bool) {
	if set, ok := g.exact[resource]; ok {
		return set, true
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
	grants  []bounded
	general Bounds
}

type bounded struct {
	pattern
	bounds Bounds
}

// NewResourceBounds prepares bounds. An empty ceiling is none.
func NewResourceBounds(grants []Grant, ceiling []string, c Catalogue) ResourceBounds {
	b := ResourceBounds{general: NewBounds(ceiling, c)}
	for _, g := range grants {
		bounds := Bounds{c, &Set{}}
		if len(g.Scopes) > 0 {
			bounds = NewBounds(g.Scopes, c)
		}
		b.grants = append(b.grants, bounded{patternOf(g.Resource), bounds})
	}
	return b
}

// Compile is what a key with these bounds may really do to single resources. Patterns
// lie one in the other or apart, so what holds for one is decided by those around it.
func (b ResourceBounds) Compile(key []Grant, scopes []string) Grants {
	granted := make([]pattern, len(key))
	for i, g := range key {
		granted[i] = patternOf(g.Resource)
	}
	bounding := make([]pattern, len(b.grants))
	for i, g := range b.grants {
		bounding[i] = g.pattern
	}
	all := slices.Concat(granted, bounding)
	if len(key) > 0 && len(scopes) == 0 {
		all = append(all, pattern{wild: true})
	}

	type pair struct{ granted, bounding int }
	sets := make(map[pair]Set, len(all)) // many patterns of an account meet the same grant of a key
	compiled := Grants{exact: make(map[string]Set)}
	slices.SortFunc(all, pattern.compare)
	for _, p := range slices.Compact(all) {
		at := pair{longest(granted, p), longest(bounding, p)}
		set, known := sets[at]
		if !known {
			set = b.effective(key, scopes, at.granted, at.bounding)
			sets[at] = set
		}
		compiled.add(p, set)
	}
	return compiled
}

// effective is what a grant of a key comes to under one of the account; -1: none.
func (b ResourceBounds) effective(key []Grant, scopes []string, granted, bounding int) Set {
	bounds := b.general
	if bounding >= 0 {
		bounds = b.grants[bounding].bounds
	}
	if granted >= 0 {
		scopes = key[granted].Scopes
	}
	return bounds.Effective(scopes)
}

// add takes patterns in their order.
func (g *Grants) add(p pattern, set Set) {
	if !p.wild {
		g.exact[p.text] = set
		return
	}
	parent := len(g.prefixes) - 1
	for parent >= 0 && !strings.HasPrefix(p.text, g.prefixes[parent].text) {
		parent = g.prefixes[parent].parent
	}
	g.prefixes = append(g.prefixes, prefixed{p.text, parent, set})
}

// pattern is one name, or all that begin with it.
type pattern struct {
	text string
	wild bool
}

func patternOf(resource string) pattern {
	text, wild := strings.CutSuffix(resource, one)
	return pattern{text, wild}
}

// covers says whether a pattern stands for all that another one does.
func (p pattern) covers(other pattern) bool {
	if p.wild {
		return strings.HasPrefix(other.text, p.text)
	}
	return p == other
}

// compare orders by text, and a single name behind the names that begin with it.
func (p pattern) compare(other pattern) int {
	if order := strings.Compare(p.text, other.text); order != 0 || p.wild == other.wild {
		return order
	}
	if p.wild {
		return -1
	}
	return 1
}

// longest finds the pattern that comes closest to another one of those that cover it; -1: none
// does. Of two that are the same, the first counts.
func longest(patterns []pattern, wanted pattern) int {
	found := -1
	for i, p := range patterns {
		if p.covers(wanted) && (found < 0 || cmp.Or(cmp.Compare(len(p.text), len(patterns[found].text)), p.compare(patterns[found])) > 0) {
			found = i
		}
	}
	return found
}
