package scope

// Effective is what a key may really do, whatever its spec says: what it was granted, cut
// to its account's ceiling and to the workspace's catalogue, with what those imply. An empty
// ceiling is none. Nothing implied goes beyond the ceiling, itself read with what it implies.
func Effective(granted, ceiling []string, c Catalogue) Set {
	return NewBounds(ceiling, c).Effective(granted)
}

// Bounds are a ceiling under a catalogue, prepared for all the keys that they hold for.
type Bounds struct {
	catalogue Catalogue
	limit     *Set // nil: no ceiling
}

// NewBounds prepares bounds. An empty ceiling is none.
func NewBounds(ceiling []string, c Catalogue) Bounds {
	if len(ceiling) == 0 {
		return Bounds{catalogue: c}
	}
	limit := NewSet(c.expand(c.cut(ceiling), always))
	return Bounds{c, &limit}
}

// Effective is what a key with these bounds may really do of what it was granted.
func (b Bounds) Effective(granted []string) Set {
	granted = b.catalogue.cut(granted)
	if b.limit == nil {
		return NewSet(b.catalogue.expand(granted, always))
	}
	return NewSet(b.catalogue.expand(collect(granted, b.limit.meet), b.limit.Has))
}

func always(string) bool { return true }

// meet is the part of a granted scope that lies within the set: itself where the set
// covers it, else those scopes of the set that it covers.
func (s Set) meet(granted string) []string {
	if s.Has(granted) {
		return []string{granted}
	}
	return s.coveredBy(granted)
}

// collect gathers what each of the scopes comes to, each once: wildcards overlap.
func collect(scopes []string, each func(string) []string) []string {
	seen := make(map[string]bool, len(scopes))
	var all []string
	for _, s := range scopes {
		for _, found := range each(s) {
			if !seen[found] {
				seen[found] = true
				all = append(all, found)
			}
		}
	}
	return all
}
