package scope

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestGrants(t *testing.T) {
	property := []Grant{{"property/*", []string{"read"}}, {"property/1", []string{"read", "write"}}, {"property/2", nil}}
	tests := map[string]struct {
		key, account    []Grant
		scopes, ceiling []string
		resource        string
		want            []string
		general         bool // nothing special holds
	}{
		"no grants at all":                               {scopes: []string{"read"}, resource: "property/1", general: true},
		"a grant for the very resource":                  {key: property, scopes: []string{"read"}, resource: "property/1", want: []string{"read", "write"}},
		"a grant for all that begin so":                  {key: property, scopes: []string{"write"}, resource: "property/3", want: []string{"read"}},
		"a grant without scopes permits nothing":         {key: property, scopes: []string{"write"}, resource: "property/2", want: []string{}},
		"the prefix itself begins so":                    {key: property, scopes: []string{"write"}, resource: "property/", want: []string{"read"}},
		"another resource":                               {key: property, scopes: []string{"write"}, resource: "project/1", general: true},
		"nothing is begun in the middle":                 {key: property, scopes: []string{"write"}, resource: "a/property/1", general: true},
		"the same letters in another case":               {key: property, scopes: []string{"write"}, resource: "Property/1", general: true},
		"another resource of a key without scopes":       {key: property, resource: "project/1", want: []string{}},
		"the star alone is any":                          {key: []Grant{{"*", []string{"read"}}}, resource: "anything", want: []string{"read"}},
		"the ceiling holds for grants":                   {key: property, ceiling: []string{"read"}, resource: "property/1", want: []string{"read"}},
		"the account's grant is a ceiling for it":        {key: property, account: []Grant{{"property/1", []string{"write"}}}, ceiling: []string{"read"}, resource: "property/1", want: []string{"write"}},
		"and for the scopes":                             {account: []Grant{{"property/*", []string{"read"}}}, scopes: []string{"read", "write"}, resource: "property/7", want: []string{"read"}},
		"the account's grant without scopes is no grant": {key: property, account: []Grant{{"property/*", nil}}, resource: "property/1", want: []string{}},
		"a key's prefix around an account's resource":    {key: property, account: []Grant{{"property/9", []string{"write"}}}, scopes: []string{"write"}, resource: "property/9", want: []string{}},
		"an account's prefix around a key's":             {key: property, account: []Grant{{"p*", []string{"**"}}}, ceiling: []string{"nothing"}, resource: "property/3", want: []string{"read"}},
		"an account's prefix beside a key's":             {key: property, account: []Grant{{"p*", []string{"**"}}}, scopes: []string{"write"}, ceiling: []string{"nothing"}, resource: "project/3", want: []string{"write"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			set, matched := CompileGrants(test.key, test.account, test.scopes, test.ceiling, Catalogue{}).For(test.resource)
			if matched == test.general || matched && !slices.Equal(set.List(), test.want) {
				t.Errorf("got %v (%v), want %v (%v)", set.List(), matched, test.want, !test.general)
			}
		})
	}
}

func TestTheCatalogueBoundsGrantsToo(t *testing.T) {
	grants := CompileGrants([]Grant{{"a", []string{"**"}}, {"b", []string{"stray"}}, {"c", []string{"workspace.collection:create"}}}, nil, []string{"a:loop"}, nil, catalogue)
	for resource, want := range map[string]string{
		"a": "a:loop b:loop workspace.admin:manage workspace.collection:create workspace.collection:read",
		"b": "",
		"c": "workspace.collection:create workspace.collection:read",
	} {
		if set, ok := grants.For(resource); !ok || strings.Join(set.List(), " ") != want {
			t.Errorf("%s: got %v (%v), want %v", resource, set.List(), ok, want)
		}
	}
}

// obviousFor says what For must mean, by looking through all grants at each question.
func obviousFor(resource string, key, account []Grant, scopes, ceiling []string, definitions []Definition) (Set, bool) {
	granted, bounding := obviousLongest(key, resource), obviousLongest(account, resource)
	if granted == nil && bounding == nil && !(len(key) > 0 && len(scopes) == 0) {
		return Set{}, false
	}
	if bounding != nil {
		if ceiling = bounding.Scopes; len(ceiling) == 0 {
			return Set{}, true
		}
	}
	if granted != nil {
		scopes = granted.Scopes
	}
	return obviousEffective(scopes, ceiling, definitions), true
}

func obviousLongest(grants []Grant, resource string) (found *Grant) {
	for _, g := range grants {
		if g.Resource == resource && !strings.HasSuffix(resource, "*") {
			return &g
		}
		prefix, wild := strings.CutSuffix(g.Resource, "*")
		if wild && strings.HasPrefix(resource, prefix) && (found == nil || len(g.Resource) > len(found.Resource)) {
			found = &g
		}
	}
	return found
}

func TestGrantsAreWhatTheyObviouslyMean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key, account := drawGrants(t, "key"), drawGrants(t, "account")
		scopes, ceiling, definitions := drawScopes(t, "scopes"), drawScopes(t, "ceiling"), drawDefinitions(t)
		compiled := CompileGrants(key, account, scopes, ceiling, NewCatalogue(definitions))
		for _, resource := range rapid.SliceOfN(rapid.StringMatching(`[ab/]{0,4}\*?`), 1, 8).Draw(t, "resources") {
			got, matched := compiled.For(resource)
			want, wantMatched := obviousFor(resource, key, account, scopes, ceiling, definitions)
			if matched != wantMatched || !slices.Equal(got.List(), want.List()) {
				t.Fatalf("%q:\n got %v (%v)\nwant %v (%v)", resource, got.List(), matched, want.List(), wantMatched)
			}
		}
	})
}

// Whatever a key asks for: what the account refuses for a resource is not there.
func TestGrantsNeverGoBeyondTheAccount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key, account, scopes, ceiling := drawGrants(t, "key"), drawGrants(t, "account"), drawScopes(t, "scopes"), drawScopes(t, "ceiling")
		resource, concrete := rapid.StringMatching(`[ab/]{1,4}`).Draw(t, "resource"), drawConcrete(t)
		set, matched := CompileGrants(key, account, scopes, ceiling, Catalogue{}).For(resource)
		if !matched || !set.Has(concrete) {
			return
		}
		bound, free := ceiling, len(ceiling) == 0
		if g := obviousLongest(account, resource); g != nil {
			bound, free = g.Scopes, false
		}
		if !free && !covered(bound, concrete) {
			t.Fatalf("%s on %q is more than %v", concrete, resource, bound)
		}
	})
}

// drawGrants draws names so short that they often lie one in the other, and as the schema
// has it no name twice.
func drawGrants(t *rapid.T, label string) []Grant {
	return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) Grant {
		return Grant{rapid.StringMatching(`[ab/]{0,3}\*?`).Draw(t, "resource"), drawScopes(t, "scopes")}
	}), 0, 6, func(g Grant) string { return g.Resource }).Draw(t, label)
}

func TestLookingForAGrantNeedsNoMemory(t *testing.T) {
	grants := most()
	if n := testing.AllocsPerRun(100, func() {
		grants.For("property/17")
		grants.For("property/17/room/3")
		grants.For("elsewhere")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// most are as many grants as a key and its account may have.
func most() Grants {
	var key, account []Grant
	for i := range 64 {
		key = append(key, Grant{fmt.Sprintf("property/%d", i), []string{"read"}})
		account = append(account, Grant{fmt.Sprintf("property/%d/*", i), []string{"read", "write"}})
	}
	return CompileGrants(key, account, []string{"read"}, nil, Catalogue{})
}

func BenchmarkGrantsFor(b *testing.B) {
	grants := most()
	for name, resource := range map[string]string{"exact": "property/17", "prefix": "property/17/room/3", "none": "elsewhere"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				grants.For(resource)
			}
		})
	}
}

func BenchmarkCompileGrants(b *testing.B) {
	b.Run("most", func(b *testing.B) {
		for b.Loop() {
			most()
		}
	})
	// Half the scopes that the grants of a key may have in all: nobody writes this with good intent.
	b.Run("wildcards", func(b *testing.B) {
		c := largest()
		var key []Grant
		for i := range 32 {
			g := Grant{Resource: fmt.Sprint(i)}
			for j := range 8 {
				g.Scopes = append(g.Scopes, fmt.Sprintf("*.*:r%d-%d", i, j))
			}
			key = append(key, g)
		}
		for b.Loop() {
			CompileGrants(key, nil, nil, nil, c)
		}
	})
}

func TestValidateResource(t *testing.T) {
	for _, good := range []string{"*", "a", "property/*", "property/4711", "urn:x:1", "!", "~", strings.Repeat("a", MaxResourceLength)} {
		if err := ValidateResource(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", " ", "a b", "a\n", "é", "\x7f", "\xff", "a*b", "**", "*a", strings.Repeat("a", MaxResourceLength+1)} {
		if ValidateResource(bad) == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestLongest(t *testing.T) {
	grants := []Grant{{Resource: "*"}, {Resource: "a*"}, {Resource: "a"}, {Resource: "ab"}, {Resource: "ab/*"}}
	for resource, want := range map[string]int{"a": 2, "a*": 1, "ac": 1, "ab": 3, "ab/": 4, "ab/c*": 4, "ab*": 1, "b": 0, "*": 0} {
		if got := Longest(grants, resource); got != want {
			t.Errorf("%s: got %d, want %d", resource, got, want)
		}
	}
	if got := Longest(grants[2:], "b"); got != -1 {
		t.Errorf("got %d", got)
	}
}
