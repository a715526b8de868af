package scope

import "slices"

// Definition is one entry of a catalogue: a scope and those that come with it.
type Definition struct {
	Name    string
	Implies []string
}

// Catalogue is the list of scopes that there are. The zero value is the empty catalogue,
// under which any well-formed scope may be used.
type Catalogue struct {
	names   Set
	known   Set                 // the names and all that they imply
	implied map[string][]string // by name
}

// NewCatalogue makes a catalogue.
func NewCatalogue(definitions []Definition) Catalogue {
	implied := make(map[string][]string, len(definitions))
	var names, known []string
	for _, d := range definitions {
		implied[d.Name] = slices.Concat(implied[d.Name], d.Implies)
		names = append(names, d.Name)
		known = append(append(known, d.Name), d.Implies...)
	}
	return Catalogue{NewSet(names), NewSet(known), implied}
}

// Empty says whether the catalogue lists nothing and therefore restricts nothing.
func (c Catalogue) Empty() bool { return len(c.names.list) == 0 }

// Allows says whether a key may ask for a scope: one that is listed, one that a listed
// one implies, or a wildcard that stands for at least one of these.
func (c Catalogue) Allows(s string) bool { return c.Empty() || len(c.known.coveredBy(s)) > 0 }

// cut narrows granted scopes to the catalogue. A wildcard becomes the listed scopes it
// stands for, so that a catalogue bounds what "**" means.
func (c Catalogue) cut(granted []string) []string {
	if c.Empty() {
		return granted
	}
	return collect(granted, c.known.coveredBy)
}

// expand adds what the scopes imply, directly or through others; a circle of
// implications is no harm. Only what keep accepts is there in the end.
func (c Catalogue) expand(granted []string, keep func(string) bool) []string {
	seen := make(map[string]bool, len(granted))
	expanded := make([]string, 0, len(granted))
	add := func(s string) {
		if !seen[s] {
			seen[s] = true
			if keep(s) {
				expanded = append(expanded, s)
			}
		}
	}
	for _, s := range granted {
		add(s)
	}
	for i := 0; i < len(expanded); i++ {
		for _, name := range c.names.coveredBy(expanded[i]) {
			for _, implied := range c.implied[name] {
				add(implied)
			}
		}
	}
	return expanded
}
