package validation

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/scope"
)

func TestScopesWithinBounds(t *testing.T) {
	catalogue := []v1alpha1.ScopeDefinition{
		define("orders:read"),
		define("orders:write", "orders:read"),
		define("stock:admin", "stock.items:write"),
	}
	for _, c := range []struct {
		name      string
		key       []v1alpha1.Scope
		catalogue []v1alpha1.ScopeDefinition
		ceiling   []v1alpha1.Scope
		want      []string
	}{
		{"without a catalogue anything well-formed goes", []v1alpha1.Scope{"any.thing:goes", "**"}, nil, nil, nil},
		{"a listed scope", []v1alpha1.Scope{"orders:read"}, catalogue, nil, nil},
		{"an implied scope", []v1alpha1.Scope{"stock.items:write"}, catalogue, nil, nil},
		{"a wildcard that stands for something", []v1alpha1.Scope{"orders:*", "**"}, catalogue, nil, nil},
		{"an unlisted scope", []v1alpha1.Scope{"orders:drop"}, catalogue, nil,
			[]string{`spec.scopes[0]: is not in the catalogue of Workspace "shop", which has orders:read, orders:write`}},
		{"a wildcard that stands for nothing", []v1alpha1.Scope{"billing:*"}, catalogue, nil,
			[]string{"spec.scopes[0]: is not in the catalogue"}},
		{"a malformed scope is told once", []v1alpha1.Scope{"a b"}, catalogue, []v1alpha1.Scope{"orders:read"},
			[]string{"spec.scopes[0]: between the dots"}},
		{"an account without a ceiling", []v1alpha1.Scope{"orders:write"}, catalogue, []v1alpha1.Scope{}, nil},
		{"a scope of the ceiling", []v1alpha1.Scope{"orders:read"}, nil, []v1alpha1.Scope{"orders:read"}, nil},
		{"a scope under a wildcard of the ceiling", []v1alpha1.Scope{"orders:read"}, nil, []v1alpha1.Scope{"orders:*"}, nil},
		{"a scope that the ceiling implies", []v1alpha1.Scope{"orders:read"}, catalogue, []v1alpha1.Scope{"orders:write"}, nil},
		{"a scope above the ceiling", []v1alpha1.Scope{"orders:write"}, catalogue, []v1alpha1.Scope{"orders:read"},
			[]string{`spec.scopes[0]: is more than ServiceAccount "robot" may do, which is orders:read`}},
		{"a wildcard above the ceiling", []v1alpha1.Scope{"orders:*"}, nil, []v1alpha1.Scope{"orders:read"},
			[]string{"spec.scopes[0]: is more than ServiceAccount"}},
		{"a wildcard that stands for more than the ceiling", []v1alpha1.Scope{"**"}, catalogue, []v1alpha1.Scope{"orders:*"},
			[]string{"spec.scopes[0]: is more than ServiceAccount"}},
		{"a wildcard that stands for just the ceiling", []v1alpha1.Scope{"orders:*"}, catalogue, []v1alpha1.Scope{"orders:write"}, nil},
		{"a ceiling that left the catalogue allows nothing", []v1alpha1.Scope{"orders:read"}, catalogue, []v1alpha1.Scope{"gone:read"},
			[]string{"spec.scopes[0]: may do, which is nothing"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			refs := References{
				Workspace:      aWorkspace(withCatalogue(c.catalogue...)),
				ServiceAccount: anAccount(withCeiling(c.ceiling...)),
			}
			expect(t, ApiKey(aKey(ofAccount, withScopes(c.key...)), refs, now), c.want...)
		})
	}
}

// A refusal says what there is, but not all of a list that may have hundreds.
func TestLongListsAreShortened(t *testing.T) {
	var definitions []v1alpha1.ScopeDefinition
	for _, name := range []v1alpha1.Scope{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
		definitions = append(definitions, define(name))
	}
	refs := References{Workspace: aWorkspace(withCatalogue(definitions...))}
	expect(t, ApiKey(aKey(withScopes("z")), refs, now), "spec.scopes[0]: which has a, b, c, d, e, f, g, h and 2 more: ")
}

// What passes gets all that it asks for: the ceiling cuts nothing off. And what is refused
// for its ceiling would have been cut.
func TestWhatPassesIsWhatItGets(t *testing.T) {
	some := rapid.SampledFrom([]v1alpha1.Scope{
		"a", "a:r", "a:w", "a:*", "a.b:r", "a.b:w", "a.*:r", "a.**", "a.**:w", "*", "*:r", "**", "**:w", "b.a:r", "b.*",
	})
	plain := rapid.SampledFrom([]v1alpha1.Scope{"a", "a:r", "a:w", "a.b:r", "a.b:w", "b.a:r", "b.c"})
	rapid.Check(t, func(t *rapid.T) {
		var definitions []v1alpha1.ScopeDefinition
		for _, name := range rapid.SliceOfNDistinct(plain, 0, 4, rapid.ID).Draw(t, "catalogue") {
			definitions = append(definitions, define(name, rapid.SliceOfNDistinct(some, 0, 2, rapid.ID).Draw(t, "implies")...))
		}
		granted := rapid.SliceOfNDistinct(some, 1, 1, rapid.ID).Draw(t, "granted")
		ceiling := rapid.SliceOfNDistinct(some, 1, 3, rapid.ID).Draw(t, "ceiling")
		workspace, account := aWorkspace(withCatalogue(definitions...)), anAccount(withCeiling(ceiling...))

		known, _ := catalogue(workspace)
		if !known.Allows(string(granted[0])) {
			t.Skip("outside the catalogue")
		}
		errs := ApiKey(aKey(ofAccount, withScopes(granted...)), References{Workspace: workspace, ServiceAccount: account}, now)
		cut := scope.Effective(strs(granted), strs(ceiling), known).List()
		whole := scope.Effective(strs(granted), nil, known).List()
		if passes := len(errs) == 0; passes != slices.Equal(cut, whole) {
			t.Fatalf("passes: %v; gets %v of %v", passes, cut, whole)
		}
	})
}
