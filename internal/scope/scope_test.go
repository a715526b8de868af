package scope

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestValidate(t *testing.T) {
	for _, good := range []string{"read", "*", "**", "a.b:c", "a.*:c", "a.**", "a.**:read", "*:read", "a.b.c.d-e_f:*", "A1", strings.Repeat("a", MaxLength)} {
		if err := Validate(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", ".", "a.", ".a", "a..b", ":", "a:", ":a", "a:b:c", "a.**.b", "**.a:b", "a b", "a\n", "é", "a:**", "a:b.c", "a*", "***", "a/b", strings.Repeat("a", MaxLength+1)} {
		if Validate(bad) == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestCovers(t *testing.T) {
	tests := []struct {
		granted, wanted string
		want            bool
	}{
		{"read", "read", true},
		{"read", "write", false},
		{"read", "read:all", false},
		{"*", "read", true},
		{"*", "a.b", false},
		{"*", "read:all", false},
		{"**", "read", true},
		{"**", "a.b.c:d", true},
		{"**", "**", true},
		{"a.*:read", "a.b:read", true},
		{"a.*:read", "a.b.c:read", false},
		{"a.*:read", "a:read", false},
		{"a.*:read", "a.b:write", false},
		{"a.*:read", "a.*:read", true},
		{"a.*:read", "a.**:read", false},
		{"a.b:read", "a.*:read", false},
		{"a.**:read", "a.b.c:read", true},
		{"a.**:read", "a.b.c:write", false},
		{"a.**:read", "a:read", false},
		{"a.**:read", "a.**", false},
		{"a.**", "a.b:read", true},
		{"a.**", "a.b", true},
		{"a.**", "a.**:read", true},
		{"a.**", "b.c", false},
		{"a.*", "a.**", false},
		{"a.*", "a.b:read", false},
		{"a:*", "a:read", true},
		{"a:*", "a", false},
		{"a:read", "a:*", false},
		{"a.*.c:read", "a.b.c:read", true},
		{"a.*.c:read", "a.b.d:read", false},
	}
	for _, test := range tests {
		if got := Covers(test.granted, test.wanted); got != test.want {
			t.Errorf("%s covers %s: %v", test.granted, test.wanted, got)
		}
	}
}

// What covers must be transitive, or cutting to a ceiling could widen.
func TestCoversIsAPartialOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawScope(t, "a"), drawScope(t, "b"), drawScope(t, "c")
		if !Covers(a, a) {
			t.Fatalf("%s does not cover itself", a)
		}
		if Covers(a, b) && Covers(b, c) && !Covers(a, c) {
			t.Fatalf("%s covers %s, which covers %s, and yet it does not", a, b, c)
		}
	})
}

// Containment must mean what it says: whatever concrete scope the covered one admits, the
// covering one admits too.
func TestACoveredScopeAdmitsNothingMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, concrete := drawScope(t, "a"), drawScope(t, "b"), drawConcrete(t)
		if Covers(a, b) && Covers(b, concrete) && !Covers(a, concrete) {
			t.Fatalf("%s admits %s, but %s, which covers it, does not", b, concrete, a)
		}
	})
}

var catalogue = NewCatalogue([]Definition{
	{Name: "workspace.admin:manage", Implies: []string{"workspace.collection:create", "workspace.collection:read"}},
	{Name: "workspace.collection:create", Implies: []string{"workspace.collection:read"}},
	{Name: "workspace.collection:read"},
	{Name: "a:loop", Implies: []string{"b:loop"}},
	{Name: "b:loop", Implies: []string{"a:loop"}},
})

func TestCatalogueAllows(t *testing.T) {
	for s, want := range map[string]bool{
		"workspace.collection:read": true, "workspace.**": true, "workspace.*:read": true, "a:loop": true,
		"workspace.collection:delete": false, "other.**": false, "read": false,
	} {
		if catalogue.Allows(s) != want {
			t.Errorf("%s: want %v", s, want)
		}
	}
	if !(Catalogue{}).Allows("anything:goes") {
		t.Error("an empty catalogue restricts")
	}
}

func TestEffective(t *testing.T) {
	tests := map[string]struct {
		granted, ceiling []string
		catalogue        Catalogue
		want             []string
	}{
		"without a catalogue and a ceiling it is what was granted": {[]string{"b", "a.**"}, nil, Catalogue{}, []string{"a.**", "b"}},
		"what is implied comes with it, through others too":        {[]string{"workspace.admin:manage"}, nil, catalogue, []string{"workspace.admin:manage", "workspace.collection:create", "workspace.collection:read"}},
		"a circle of implications ends":                            {[]string{"a:loop"}, nil, catalogue, []string{"a:loop", "b:loop"}},
		"what is not in the catalogue is gone":                     {[]string{"stray:scope", "workspace.collection:read"}, nil, catalogue, []string{"workspace.collection:read"}},
		"a wildcard is what the catalogue lists of it":             {[]string{"workspace.*:read"}, nil, catalogue, []string{"workspace.collection:read"}},
		"the ceiling cuts":                                         {[]string{"a", "b"}, []string{"b", "c"}, Catalogue{}, []string{"b"}},
		"a wildcard is cut to the ceiling":                         {[]string{"**"}, []string{"a.*:read", "b"}, Catalogue{}, []string{"a.*:read", "b"}},
		"nothing implied goes beyond the ceiling":                  {[]string{"workspace.collection:create"}, []string{"workspace.collection:create"}, NewCatalogue([]Definition{{Name: "workspace.collection:create", Implies: []string{"workspace.collection:read"}}}), []string{"workspace.collection:create", "workspace.collection:read"}},
		"the ceiling means what it implies":                        {[]string{"workspace.collection:read"}, []string{"workspace.admin:manage"}, catalogue, []string{"workspace.collection:read"}},
		"a key above the ceiling is nothing":                       {[]string{"workspace.admin:manage"}, []string{"workspace.collection:read"}, catalogue, []string{}},
		"a ceiling outside the catalogue admits nothing":           {[]string{"workspace.collection:read"}, []string{"stray"}, catalogue, []string{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := Effective(test.granted, test.ceiling, test.catalogue).List()
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestEffectiveNeverWidens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		granted, ceiling, concrete := drawScopes(t, "granted"), drawScopes(t, "ceiling"), drawConcrete(t)
		effective := Effective(granted, ceiling, Catalogue{})
		if !effective.Has(concrete) {
			return
		}
		if !covered(granted, concrete) {
			t.Fatalf("%s was not granted by %v", concrete, granted)
		}
		if len(ceiling) > 0 && !covered(ceiling, concrete) {
			t.Fatalf("%s is above the ceiling %v", concrete, ceiling)
		}
	})
}

func FuzzValidateAndCover(f *testing.F) {
	f.Add("a.b:c", "a.*:c")
	f.Add("**", ":")
	f.Fuzz(func(t *testing.T, a, b string) {
		if Validate(a) == nil && Validate(b) == nil && Covers(a, b) && Covers(b, a) && !Covers(a, a) {
			t.Errorf("%q does not cover itself", a)
		}
		_ = NewSet([]string{a, b}).Has(a)
	})
}

func drawScopes(t *rapid.T, label string) []string {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string { return drawScope(t, "scope") }), 0, 4).Draw(t, label)
}

// drawScope draws from so few words that scopes often meet.
func drawScope(t *rapid.T, label string) string {
	return rapid.SampledFrom([]string{"", "", "x.", "*.", "y."}).Draw(t, label+" first") +
		rapid.SampledFrom([]string{"a", "b", "*", "**", "a.b", "a.*", "a.**"}).Draw(t, label+" path") +
		rapid.SampledFrom([]string{"", ":r", ":w", ":*"}).Draw(t, label+" verb")
}

func drawConcrete(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "x.", "y."}).Draw(t, "first") +
		rapid.SampledFrom([]string{"a", "b", "a.b", "a.b.c"}).Draw(t, "path") +
		rapid.SampledFrom([]string{"", ":r", ":w"}).Draw(t, "verb")
}

// covered says whether one of the granted scopes covers the wanted one.
func covered(granted []string, wanted string) bool {
	return slices.ContainsFunc(granted, func(g string) bool { return Covers(g, wanted) })
}
