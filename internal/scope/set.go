package scope

import (
	"slices"
	"sort"
	"strings"
)

// Set is what a key may do, prepared for the question whether it may do one thing.
type Set struct {
	list      []string            // in order
	wildcards []string            // those of the list that hold a *
	exact     map[string]struct{} // of a list that is long; to look a few scopes over is as quick
}

// few is up to how many scopes need no map. Most keys have no more, and there are many keys.
const few = 8

// NewSet prepares scopes as they are, without a catalogue.
func NewSet(scopes []string) Set {
	set := Set{list: slices.Compact(slices.Sorted(slices.Values(scopes)))}
	for _, s := range set.list {
		if isWild(s) {
			set.wildcards = append(set.wildcards, s)
		}
	}
	if len(set.list) > few {
		set.exact = make(map[string]struct{}, len(set.list))
		for _, s := range set.list {
			set.exact[s] = struct{}{}
		}
	}
	set.list, set.wildcards = slices.Clip(set.list), slices.Clip(set.wildcards)
	return set
}

// lists says whether a scope is in the set as it is written.
func (s *Set) lists(wanted string) bool {
	if s.exact != nil {
		_, ok := s.exact[wanted]
		return ok
	}
	return slices.Contains(s.list, wanted)
}

// Has says whether the set covers the wanted scope.
func (s Set) Has(wanted string) bool {
	if s.lists(wanted) {
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

// coveredBy returns those scopes of the set that a granted one covers. Without wildcards
// that is itself or none, and needs no search: catalogues are long and keys many.
func (s Set) coveredBy(granted string) []string {
	if !isWild(granted) {
		if s.lists(granted) {
			return []string{granted}
		}
		return nil
	}
	var covered []string
	for _, wanted := range s.from(granted) {
		if Covers(granted, wanted) {
			covered = append(covered, wanted)
		}
	}
	return covered
}

// from is the part of the list that begins as a wildcard does up to its first *: nothing else
// can be covered by it, and lists are long.
func (s Set) from(wildcard string) []string {
	begin := wildcard[:strings.Index(wildcard, one)]
	// Before a last ** the path may end, and the verb follow.
	begin = strings.TrimRight(begin, ".")
	first, _ := slices.BinarySearch(s.list, begin)
	rest := s.list[first:]
	end := sort.Search(len(rest), func(i int) bool { return !strings.HasPrefix(rest[i], begin) })
	return rest[:end]
}

func isWild(s string) bool { return strings.Contains(s, one) }
