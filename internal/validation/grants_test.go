package validation

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/scope"
)

func TestGrantsWithinBounds(t *testing.T) {
	catalogue := []v1alpha1.ScopeDefinition{define("orders:read"), define("orders:write", "orders:read")}
	type grants []v1alpha1.Grant
	for _, c := range []struct {
		name      string
		key       grants
		catalogue []v1alpha1.ScopeDefinition
		account   grants
		ceiling   []v1alpha1.Scope
		want      []string
	}{
		{"without a catalogue anything well-formed goes", grants{grant("p/*", "any.thing:goes", "**")}, nil, nil, nil, nil},
		{"nothing is always allowed", grants{grant("p/1")}, catalogue, grants{grant("p/1")}, nil, nil},
		{"more than the key's own scopes", grants{grant("p/1", "orders:write")}, catalogue, nil, nil, nil},
		{"an unlisted scope", grants{grant("p/1"), grant("p/2", "orders:read", "orders:drop")}, catalogue, nil, nil,
			[]string{`spec.grants[1].scopes[1]: is not in the catalogue of Workspace "shop", which has orders:read, orders:write: use what it has`}},
		{"a malformed scope is told once", grants{grant("p/1", "a b")}, catalogue, nil, []v1alpha1.Scope{"orders:read"},
			[]string{"spec.grants[0].scopes[0]: between the dots"}},
		{"the ceiling holds where the account has no grant", grants{grant("p/1", "orders:write")}, nil, grants{grant("q/*", "orders:write")}, []v1alpha1.Scope{"orders:read"},
			[]string{`spec.grants[0].scopes[0]: is more than ServiceAccount "robot" may do, which is orders:read: ask for less, or add the scope to its spec.scopes`}},
		{"the account's grant stands in the ceiling's place", grants{grant("p/1", "orders:write")}, nil, grants{grant("p/*", "orders:*")}, []v1alpha1.Scope{"orders:read"}, nil},
		{"and it bounds", grants{grant("p/1", "orders:write")}, nil, grants{grant("*", "orders:*"), grant("p/*", "orders:read")}, nil,
			[]string{`spec.grants[0].scopes[0]: is more than ServiceAccount "robot" may do to p/*, which is orders:read: ask for less, or add the scope to its spec.grants[1].scopes`}},
		{"with what it implies", grants{grant("p/1", "orders:read")}, catalogue, grants{grant("p/*", "orders:write")}, nil, nil},
		{"an account's grant without scopes allows nothing", grants{grant("p/1", "orders:read")}, nil, grants{grant("p/*")}, nil,
			[]string{`spec.grants[0].scopes[0]: may do to p/*, which is nothing`}},
		{"nor does it under a catalogue", grants{grant("p/1", "orders:read")}, catalogue, grants{grant("p/*")}, nil,
			[]string{`spec.grants[0].scopes[0]: may do to p/*, which is nothing`}},
		{"a narrower grant of the account cuts without refusing", grants{grant("p/*", "orders:write")}, nil, grants{grant("p/1", "orders:read")}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			refs := References{
				Workspace:      aWorkspace(withCatalogue(c.catalogue...)),
				ServiceAccount: anAccount(withCeiling(c.ceiling...), withAccountGrants(c.account...)),
			}
			expect(t, ApiKey(aKey(ofAccount, withScopes(), withGrants(c.key...)), refs, now), c.want...)
		})
	}
}

func TestGrantsOfAnAccountAreWithinTheCatalogue(t *testing.T) {
	workspace := aWorkspace(withCatalogue(define("orders:read")))
	account := anAccount(withCeiling("orders:read"), withAccountGrants(grant("p/1", "orders:*"), grant("p/2", "stock:read")))
	expect(t, ServiceAccount(account, workspace), "spec.grants[1].scopes[0]: is not in the catalogue")
}

func TestShapeOfGrants(t *testing.T) {
	var many, full []v1alpha1.Grant
	var scopes []v1alpha1.Scope
	for i := range 65 {
		many = append(many, grant(v1alpha1.Resource(fmt.Sprint(i))))
		scopes = append(scopes, v1alpha1.Scope(fmt.Sprintf("s%d", i)))
	}
	for i := range 16 {
		full = append(full, grant(v1alpha1.Resource(fmt.Sprint(i)), scopes[:32]...))
	}
	for name, c := range map[string]struct {
		grants []v1alpha1.Grant
		want   []string
	}{
		"64 grants":                {many[:64], nil},
		"65 are too many":          {many, []string{"spec.grants: at most 64"}},
		"33 scopes are too many":   {[]v1alpha1.Grant{grant("a", scopes[:33]...)}, []string{"spec.grants[0].scopes: at most 32"}},
		"512 scopes in all":        {full, nil},
		"513 are too many":         {append(slices.Clone(full), grant("a", "b")), []string{"spec.grants.scopes: at most 512"}},
		"one resource twice":       {[]v1alpha1.Grant{grant("a"), grant("b"), grant("a")}, []string{"spec.grants[2].resource: Duplicate"}},
		"one scope twice":          {[]v1alpha1.Grant{grant("a", "b", "b")}, []string{"spec.grants[0].scopes[1]: Duplicate"}},
		"no resource":              {[]v1alpha1.Grant{grant("")}, []string{"spec.grants[0].resource: must not be empty: write one such as"}},
		"a star in the middle":     {[]v1alpha1.Grant{grant("a/*/b")}, []string{"spec.grants[0].resource: must be the last character"}},
		"a space":                  {[]v1alpha1.Grant{grant("a b")}, []string{"spec.grants[0].resource: visible ASCII"}},
		"a name that is too long":  {[]v1alpha1.Grant{grant(v1alpha1.Resource(strings.Repeat("a", 257)))}, []string{"spec.grants[0].resource: at most 256"}},
		"a name as long as can be": {[]v1alpha1.Grant{grant(v1alpha1.Resource(strings.Repeat("a", 256)))}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, ApiKey(aKey(withGrants(c.grants...)), References{}, now), c.want...)
			expect(t, ServiceAccount(anAccount(withAccountGrants(c.grants...)), nil), c.want...)
		})
	}
}

// A revocation is not held up by whatever the key may do.
func TestARevokedKeyHasAnyGrants(t *testing.T) {
	key := aKey(withGrants(grant("p/1", "stray")), withState(v1alpha1.KeyRevoked))
	expect(t, ApiKey(key, References{Workspace: aWorkspace(withCatalogue(define("orders:read")))}, now))
}

// What passes for a resource gets all that it asks for there, and what is refused for its
// ceiling would have been cut.
func TestGrantsThatPassAreWhatTheyGive(t *testing.T) {
	some := rapid.SampledFrom([]v1alpha1.Scope{"a", "a:r", "a:w", "a:*", "a.b:r", "a.*:r", "a.**", "*", "*:r", "**", "**:w"})
	plain := rapid.SampledFrom([]v1alpha1.Scope{"a", "a:r", "a:w", "a.b:r", "a.b:w"})
	lists := rapid.SliceOfNDistinct(some, 0, 3, rapid.ID)
	rapid.Check(t, func(t *rapid.T) {
		var definitions []v1alpha1.ScopeDefinition
		for _, name := range rapid.SliceOfNDistinct(plain, 0, 4, rapid.ID).Draw(t, "catalogue") {
			definitions = append(definitions, define(name))
		}
		granted := some.Draw(t, "granted")
		var grants []v1alpha1.Grant
		var bounding []scope.Grant
		for _, resource := range rapid.SliceOfNDistinct(rapid.SampledFrom([]v1alpha1.Resource{"*", "p*", "p/*", "p/1", "p/2"}), 0, 3, rapid.ID).Draw(t, "resources") {
			scopes := lists.Draw(t, "scopes")
			grants = append(grants, grant(resource, scopes...))
			bounding = append(bounding, scope.Grant{Resource: string(resource), Scopes: strs(scopes)})
		}
		ceiling := lists.Draw(t, "ceiling")
		workspace, account := aWorkspace(withCatalogue(definitions...)), anAccount(withCeiling(ceiling...), withAccountGrants(grants...))
		known, _ := catalogue(workspace)
		if !known.Allows(string(granted)) {
			t.Skip("outside the catalogue")
		}

		errs := ApiKey(aKey(ofAccount, withScopes(), withGrants(grant("p/1", granted))), References{Workspace: workspace, ServiceAccount: account}, now)
		asked := []scope.Grant{{Resource: "p/1", Scopes: []string{string(granted)}}}
		cut, _ := scope.CompileGrants(asked, bounding, nil, strs(ceiling), known).For("p/1")
		whole := scope.Effective([]string{string(granted)}, nil, known)
		if passes := len(errs) == 0; passes != slices.Equal(cut.List(), whole.List()) {
			t.Fatalf("passes: %v; gets %v of %v", passes, cut.List(), whole.List())
		}
	})
}

func TestEntity(t *testing.T) {
	for name, c := range map[string]struct {
		entity v1alpha1.Entity
		want   []string
	}{
		"well known":        {v1alpha1.Entity{Kind: "Department", ID: "sales"}, nil},
		"of one's own":      {v1alpha1.Entity{Kind: "Robot2", ID: "https://example.com/r?2", Department: "d"}, nil},
		"no kind":           {v1alpha1.Entity{ID: "1"}, []string{"spec.entity.kind: must be a word"}},
		"a small letter":    {v1alpha1.Entity{Kind: "agent", ID: "1"}, []string{"spec.entity.kind: begins with a capital"}},
		"two words":         {v1alpha1.Entity{Kind: "Sales Agent", ID: "1"}, []string{"spec.entity.kind: must be a word"}},
		"a long kind":       {v1alpha1.Entity{Kind: "A" + strings.Repeat("a", 63), ID: "1"}, []string{"spec.entity.kind: at most 63"}},
		"no id":             {v1alpha1.Entity{Kind: "Agent"}, []string{"spec.entity.id: visible ASCII"}},
		"an id of lines":    {v1alpha1.Entity{Kind: "Agent", ID: "1\r\nX-Key-Id: 2"}, []string{"spec.entity.id: visible ASCII"}},
		"a long id":         {v1alpha1.Entity{Kind: "Agent", ID: v1alpha1.EntityID(strings.Repeat("a", 129))}, []string{"spec.entity.id: 1 to 128"}},
		"a department's id": {v1alpha1.Entity{Kind: "Agent", ID: "1", Department: "the south"}, []string{"spec.entity.department: visible ASCII"}},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, ApiKey(aKey(func(k *v1alpha1.ApiKey) { k.Spec.Entity = &c.entity }), References{}, now), c.want...)
		})
	}
}
