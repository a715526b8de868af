package scope

import (
	"slices"
	"strings"
)

// Set is what a key may do, prepared for the question whether it may do one thing.
type Set struct {
	exact     map[string]struct{}
	wildcards []string
	list      []string
}

// NewSet prepares scopes as they are, without a catalogue.
func NewSet(scopes []string) Set {
	set := Set{exact: make(map[string]struct{}, len(scopes))}
	for _, s := range scopes {
		if _, double := set.exact[s]; double {
			continue
		}
		set.exact[s] = struct{}{}
		set.list = append(set.list, s)
		if strings.Contains(s, one) {
			set.wildcards = append(set.wildcards, s)
		}
	}
	slices.Sort(set.list)
	return set
}

// Has says whether the set covers the wanted scope.
func (s Set) Has(wanted string) bool {
	if _, ok := s.exact[wanted]; ok {
		return true
	}
	for _, granted := range s.wildcards {
		if Covers(granted, wanted) {
			return true
		}
	}
	return false
}

// List returns the scopes in order. The caller must not change it.
func (s Set) List() []string { return s.list }

// Effective is what a key may really do, whatever its spec says: what it was granted, cut
// to its account's ceiling and to the workspace's catalogue, with what those imply. An empty
// ceiling is none. Nothing implied goes beyond the ceiling, itself read with what it implies.
func Effective(granted, ceiling []string, c Catalogue) Set {
	always := func(string) bool { return true }
	if len(ceiling) == 0 {
		return NewSet(c.expand(c.cutAll(granted), always))
	}
	limit := c.expand(c.cutAll(ceiling), always)
	within := func(s string) bool { return Covered(limit, s) }

	var narrowed []string
	for _, g := range c.cutAll(granted) {
		narrowed = append(narrowed, meet(g, limit)...)
	}
	return NewSet(c.expand(narrowed, within))
}

// Covered says whether one of the granted scopes covers the wanted one.
func Covered(granted []string, wanted string) bool {
	return slices.ContainsFunc(granted, func(g string) bool { return Covers(g, wanted) })
}

// meet is the part of a granted scope that lies within the limit: itself where the limit
// covers it, else those scopes of the limit that it covers.
func meet(granted string, limit []string) []string {
	if Covered(limit, granted) {
		return []string{granted}
	}
	var within []string
	for _, l := range limit {
		if Covers(granted, l) {
			within = append(within, l)
		}
	}
	return within
}

func (c Catalogue) cutAll(scopes []string) []string {
	var cut []string
	for _, s := range scopes {
		cut = append(cut, c.cut(s)...)
	}
	return cut
}
