package e2e

import (
	"fmt"
	"testing"

	"github.com/claviger-dev/claviger/test/stack"
)

const guest = `---
apiVersion: keys.claviger.dev/v1alpha1
kind: ServiceAccount
metadata: {name: guest}
spec:
  workspaceRef: {name: shop}
  scopes: ["orders:read"]
  grants: [{resource: "branch/*", scopes: ["orders:create"]}, {resource: "branch/vault"}]
`

// What a key may do to a resource follows its grants and its account's, from the manifest to
// the answer.
func TestGrantsToResources(t *testing.T) {
	ns := claviger.Namespace(t, "grants")
	keys := issueKeys(t, ns, shop+guest+
		apiKey("clerk", "shop", `scopes: ["orders:read"], grants: [{resource: "branch/*", scopes: ["orders:create"]}, {resource: "branch/vault"}], entity: {kind: Member, id: clerk-7, department: sales}`)+
		apiKey("only", "shop", `grants: [{resource: "branch/7", scopes: ["orders:read"]}]`)+
		apiKey("visitor", "shop", `serviceAccountRef: {name: guest}, scopes: ["orders:read"], grants: [{resource: "branch/7", scopes: ["orders:create"]}]`),
		"clerk", "only", "visitor")
	for _, c := range []struct{ key, resource, scope, code string }{
		{"clerk", "", "orders:create", "SCOPE_INSUFFICIENT"},
		{"clerk", "branch/7", "orders:create", "VALID"},
		{"clerk", "branch/vault", "orders:read", "RESOURCE_DENIED"},
		{"clerk", "elsewhere", "orders:read", "VALID"},
		{"clerk", "elsewhere", "orders:create", "SCOPE_INSUFFICIENT"},
		{"only", "", "orders:read", "SCOPE_INSUFFICIENT"},
		{"only", "branch/7", "orders:read", "VALID"},
		{"only", "branch/7", "orders:create", "SCOPE_INSUFFICIENT"},
		{"only", "branch/8", "orders:read", "RESOURCE_DENIED"},
		{"visitor", "", "orders:create", "SCOPE_INSUFFICIENT"},
		{"visitor", "branch/7", "orders:create", "VALID"},
		{"visitor", "branch/vault", "orders:read", "RESOURCE_DENIED"},
		{"visitor", "elsewhere", "orders:read", "VALID"},
	} {
		t.Run(fmt.Sprintf("%s may %s on %q: %s", c.key, c.scope, c.resource, c.code), func(t *testing.T) {
			question := []any{"scopes", map[string]any{"allOf": []string{c.scope}}}
			if c.resource != "" {
				question = append(question, "resource", c.resource)
			}
			if decision := claviger.Verify(t, keys[c.key], question...); decision.Code != c.code {
				t.Errorf("got %+v", decision)
			}
		})
	}

	// The account loses it, and with it the key, which nobody touched.
	patch(t, ns, "serviceaccount.keys.claviger.dev", "guest", `{"grants":[{"resource":"branch/*"}]}`)
	stack.Eventually(t, func() string {
		if decision := claviger.Verify(t, keys["visitor"], "resource", "branch/7"); decision.Code != "RESOURCE_DENIED" {
			return "the key may still be used: " + decision.Code
		}
		return ""
	})
}
