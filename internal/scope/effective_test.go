package scope

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// obviousEffective says what Effective must mean, without regard to what it costs: every
// scope is compared with every other.
func obviousEffective(granted, ceiling []string, definitions []Definition) Set {
	granted = obviousCut(granted, definitions)
	if len(ceiling) == 0 {
		return NewSet(obviousExpand(granted, definitions))
	}
	limit := obviousExpand(obviousCut(ceiling, definitions), definitions)
	var narrowed []string
	for _, g := range granted {
		if covered(limit, g) {
			narrowed = append(narrowed, g)
			continue
		}
		for _, l := range limit {
			if Covers(g, l) {
				narrowed = append(narrowed, l)
			}
		}
	}
	beyond := func(s string) bool { return !covered(limit, s) }
	return NewSet(slices.DeleteFunc(obviousExpand(narrowed, definitions), beyond))
}

func obviousCut(scopes []string, definitions []Definition) []string {
	if len(definitions) == 0 {
		return scopes
	}
	var cut []string
	for _, s := range scopes {
		for _, known := range obviouslyKnown(definitions) {
			if Covers(s, known) {
				cut = append(cut, known)
			}
		}
	}
	return cut
}

func obviouslyKnown(definitions []Definition) []string {
	var known []string
	for _, d := range definitions {
		known = append(append(known, d.Name), d.Implies...)
	}
	return known
}

func obviousExpand(scopes []string, definitions []Definition) []string {
	all := NewSet(scopes).List()
	for {
		more := all
		for _, s := range all {
			for _, d := range definitions {
				if Covers(s, d.Name) {
					more = append(more, d.Implies...)
				}
			}
		}
		if more = NewSet(more).List(); len(more) == len(all) {
			return all
		}
		all = more
	}
}

func TestEffectiveIsWhatItObviouslyMeans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		granted, ceiling, definitions := drawScopes(t, "granted"), drawScopes(t, "ceiling"), drawDefinitions(t)
		got := Effective(granted, ceiling, NewCatalogue(definitions))
		want := obviousEffective(granted, ceiling, definitions)
		if !slices.Equal(got.List(), want.List()) {
			t.Fatalf("%v under %v and %v:\n got %v\nwant %v", granted, ceiling, definitions, got.List(), want.List())
		}
		if concrete := drawConcrete(t); got.Has(concrete) != covered(want.List(), concrete) {
			t.Fatalf("%v has %s: %v", got.List(), concrete, got.Has(concrete))
		}
	})
}

func TestACatalogueAllowsWhatStandsForSomethingInIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		asked, definitions := drawScope(t, "asked"), drawDefinitions(t)
		want := len(definitions) == 0 || slices.ContainsFunc(obviouslyKnown(definitions), func(known string) bool { return Covers(asked, known) })
		if NewCatalogue(definitions).Allows(asked) != want {
			t.Fatalf("%s under %v: want %v", asked, definitions, want)
		}
	})
}

// drawDefinitions draws names with wildcards and doubled ones too, which the schema refuses.
func drawDefinitions(t *rapid.T) []Definition {
	name := rapid.Custom(func(t *rapid.T) string {
		if rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
			return drawScope(t, "wild")
		}
		return drawConcrete(t)
	})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Definition {
		return Definition{Name: name.Draw(t, "name"), Implies: rapid.SliceOfN(name, 0, 3).Draw(t, "implies")}
	}), 0, 6).Draw(t, "definitions")
}

// largest is the largest catalogue that the webhook lets pass.
func largest() Catalogue {
	var definitions []Definition
	for i := range 500 {
		d := Definition{Name: fmt.Sprintf("area%d.thing:read", i)}
		for j := range 4 {
			d.Implies = append(d.Implies, fmt.Sprintf("area%d.part%d:read", i, j))
		}
		definitions = append(definitions, d)
	}
	return NewCatalogue(definitions)
}

func BenchmarkEffective(b *testing.B) {
	c := largest()
	wild := make([]string, 100)
	few := []string{"area1.thing:read", "area2.thing:read", "area3.part1:read", "area4.*:read", "nothing:known"}
	for i := range wild {
		wild[i] = "**"
		if i%2 == 0 {
			wild[i] = "*.*:read"
		}
	}
	for name, granted := range map[string][]string{"a few scopes": few, "everything": {"**"}, "a hundred wildcards": wild} {
		for under, ceiling := range map[string][]string{"no ceiling": nil, "a ceiling of wildcards": wild} {
			b.Run(name+" under "+under, func(b *testing.B) {
				for range b.N {
					Effective(granted, ceiling, c)
				}
			})
		}
	}
}
