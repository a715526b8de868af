package keyindex

import (
	"fmt"
	"testing"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/token"
)

// BenchmarkCatalogue edits the catalogue of a Workspace with 10,000 keys, of five scopes each.
func BenchmarkCatalogue(b *testing.B) {
	const entries, keys = 500, 10_000
	name := func(i int) v1alpha1.Scope { return v1alpha1.Scope(fmt.Sprintf("area%d.thing:read", i%entries)) }
	x := New()
	for i := range keys {
		id := fmt.Sprint("k", i)
		x.SetApiKey(key(id, func(s *v1alpha1.ApiKeySpec) {
			s.Scopes = []v1alpha1.Scope{name(i), name(i + 1), name(i + 2), name(i + 3), name(i + 4)}
		}))
		x.SetCredential(issuedFor(id, token.HashOf(id)))
	}
	declare := func(edit func(i int, d *v1alpha1.ScopeDefinition)) {
		x.SetWorkspace(shop(func(s *v1alpha1.WorkspaceSpec) {
			for i := range entries {
				d := v1alpha1.ScopeDefinition{Name: name(i)}
				edit(i, &d)
				s.Scopes = append(s.Scopes, d)
			}
		}))
	}
	b.Run("a description", func(b *testing.B) {
		for n := range b.N {
			declare(func(_ int, d *v1alpha1.ScopeDefinition) { d.Description = fmt.Sprint(n) })
		}
	})
	b.Run("what is implied", func(b *testing.B) {
		for n := range b.N {
			declare(func(_ int, d *v1alpha1.ScopeDefinition) {
				d.Implies = []v1alpha1.Scope{v1alpha1.Scope(fmt.Sprint("n", n))}
			})
		}
	})
}
