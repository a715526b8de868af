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
		if isWild(s) {
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

// coveredBy returns those scopes of the set that a granted one covers. Without wildcards
// that is itself or none, and needs no search: catalogues are long and keys many.
func (s Set) coveredBy(granted string) []string {
	if !isWild(granted) {
		if _, ok := s.exact[granted]; ok {
			return []string{granted}
		}
		return nil
	}
	var covered []string
	for _, wanted := range s.list {
		if Covers(granted, wanted) {
			covered = append(covered, wanted)
		}
	}
	return covered
}

func isWild(s string) bool { return strings.Contains(s, one) }
