package alphamoon

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// catalogue is what its page lists.
var catalogue = []string{
	"workspace.collection:create", "workspace.collection:read", "workspace.collection:update", "workspace.collection:delete",
	"workspace.collection_editor:override", "workspace.file:upload", "workspace.file:download",
	"workspace.result:create", "workspace.result:read", "workspace.result:update", "workspace.result:delete",
	"workspace.process:create", "workspace.process:read", "workspace.process:update", "workspace.process:delete", "workspace.process.api_key:manage",
	"workspace.destination:create", "workspace.destination:read", "workspace.destination:delete",
	"workspace.export:create", "workspace.export:delete",
	"workspace.admin.user:read", "workspace.admin.user:invite", "workspace.admin.user:manage", "workspace.admin.process:manage",
	"workspace.admin.collection:manage", "workspace.admin.api_key:manage", "workspace.admin.subscriptions:manage",
}

// M5: every scope of the catalogue has a description, those of administrators are apart, and a key cannot ask for another.
func TestM5Catalogue(t *testing.T) {
	issue(t)
	t.Run("the whole of it, with descriptions", func(t *testing.T) {
		text := claviger.Kubectl(t, "get", "workspace", "alphamoon", "-n", namespace, "-o", `jsonpath={range .spec.scopes[*]}{.name}={.description}{"\n"}{end}`)
		var names []string
		for line := range strings.Lines(text) {
			name, description, _ := strings.Cut(strings.TrimSpace(line), "=")
			if description == "" {
				t.Errorf("%s has no description", name)
			}
			names = append(names, name)
		}
		if !slices.Equal(slices.Sorted(slices.Values(names)), slices.Sorted(slices.Values(catalogue))) {
			t.Errorf("the catalogue is %v", names)
		}
	})
	t.Run("each can be had", func(t *testing.T) {
		for _, scope := range catalogue {
			got := claviger.Verify(t, keys["administration"], "scopes", map[string]any{"allOf": []string{scope}})
			if isAdmins := strings.HasPrefix(scope, "workspace.admin."); got.Valid != isAdmins {
				t.Errorf("with workspace.admin.** a key is answered %s for %s", got.Code, scope)
			}
		}
	})
	t.Run("others come with no scope of administrators", func(t *testing.T) {
		if got := claviger.Verify(t, keys["upload"], "scopes", map[string]any{"allOf": []string{"workspace.collection:delete"}}); !got.Valid {
			t.Errorf("workspace.collection:* does not hold delete: %+v", got)
		}
		if got := claviger.Verify(t, keys["upload"], "scopes", map[string]any{"allOf": []string{"workspace.admin.collection:manage"}}); got.Code != "SCOPE_INSUFFICIENT" {
			t.Errorf("workspace.collection:* is answered %s for a scope of administrators", got.Code)
		}
	})
	t.Run("none that is not in it", func(t *testing.T) {
		for _, scope := range []string{"workspace.admin.billing:manage", "workspace.collection:shred", "elsewhere.**"} {
			refused(t, fmt.Sprintf(mine, "greedy", "greedy", expiry, scope), scope, "catalogue")
		}
	})
}

// M6: only administrators make keys.
func TestM6OnlyAdministratorsMakeKeys(t *testing.T) {
	issue(t)
	for role, may := range map[string]bool{
		"admin": true, "edit": false, "view": false,
		"claviger-key-admin": true, "claviger-workspace-owner": true, "claviger-key-user": false, "claviger-key-viewer": false,
	} {
		t.Run(role, func(t *testing.T) {
			user := "of-" + role
			claviger.Kubectl(t, "create", "rolebinding", user, "-n", namespace, "--clusterrole="+role, "--user="+user)
			out, err := claviger.Try(fmt.Sprintf(mine, user, user, expiry, "workspace.result:read"), "create", "-n", namespace, "-f", "-", "--as", user)
			if made := err == nil; made != may {
				t.Errorf("%s may make a key: %v, want %v: %s", role, made, may, out)
			}
			if !may && !strings.Contains(out, "forbidden") {
				t.Errorf("the refusal is %s", out)
			}
			if out, err := claviger.Try("", "get", "apikeys", "-n", namespace, "--as", user); err != nil {
				t.Errorf("%s may not see the keys: %s", role, out)
			}
		})
	}
}
