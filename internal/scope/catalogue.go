package scope

// Definition is one entry of a catalogue: a scope and those that come with it.
type Definition struct {
	Name    string
	Implies []string
}

// Catalogue is the list of scopes that there are. The zero value is the empty catalogue,
// under which any well-formed scope may be used.
type Catalogue struct {
	definitions []Definition
}

// NewCatalogue makes a catalogue. It keeps the definitions, which must not change afterwards.
func NewCatalogue(definitions []Definition) Catalogue { return Catalogue{definitions} }

// Empty says whether the catalogue lists nothing and therefore restricts nothing.
func (c Catalogue) Empty() bool { return len(c.definitions) == 0 }

// Allows says whether a key may ask for a scope: one that is listed, one that a listed
// one implies, or a wildcard that stands for at least one of these.
func (c Catalogue) Allows(s string) bool {
	return c.Empty() || c.any(func(known string) bool { return Covers(s, known) })
}

// any says whether accept holds for a scope of the catalogue, implied ones included.
func (c Catalogue) any(accept func(known string) bool) bool {
	for _, d := range c.definitions {
		if accept(d.Name) {
			return true
		}
		for _, implied := range d.Implies {
			if accept(implied) {
				return true
			}
		}
	}
	return false
}

// cut narrows a granted scope to the catalogue. A wildcard becomes the listed scopes it
// stands for, so that a catalogue bounds what "**" means.
func (c Catalogue) cut(granted string) []string {
	if c.Empty() {
		return []string{granted}
	}
	var listed []string
	c.any(func(known string) bool {
		if Covers(granted, known) {
			listed = append(listed, known)
		}
		return false
	})
	return listed
}

// expand adds what the scopes imply, directly or through others; a circle of
// implications is no harm. Only what keep accepts is added.
func (c Catalogue) expand(granted []string, keep func(string) bool) []string {
	seen := make(map[string]bool, len(granted))
	expanded := make([]string, 0, len(granted))
	add := func(s string) {
		if !seen[s] && keep(s) {
			seen[s] = true
			expanded = append(expanded, s)
		}
	}
	for _, s := range granted {
		add(s)
	}
	for i := 0; i < len(expanded); i++ {
		for _, d := range c.definitions {
			if Covers(expanded[i], d.Name) {
				for _, implied := range d.Implies {
					add(implied)
				}
			}
		}
	}
	return expanded
}
