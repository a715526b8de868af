package alke

import (
	"fmt"
	"strings"
	"testing"

	"github.com/claviger-dev/claviger/test/stack"
)

const second = `
apiVersion: keys.claviger.dev/v1alpha1
kind: ServiceAccount
metadata: {name: dashboards}
spec:
  workspaceRef: {name: acme}
  scopes: ["reports:read", "properties:manage"]
`

// K4: an account may what its organization may, until somebody adjusts single properties; so does a key.
func TestK4Properties(t *testing.T) {
	key := token(t)
	ask := func(key, property, scope string) string {
		t.Helper()
		return claviger.Verify(t, key, "resource", property, "scopes", map[string]any{"allOf": []string{scope}}).Code
	}
	await := func(key, property, scope, code string) {
		t.Helper()
		stack.Eventually(t, func() string {
			if got := ask(key, property, scope); got != code {
				return fmt.Sprintf("%s of %s is answered %s, not %s", scope, property, got, code)
			}
			return ""
		})
	}
	t.Run("an account has them all", func(*testing.T) {
		await(key, "property/news", "reports:read", "VALID")
		await(key, "property/shop", "reports:read", "VALID")
		await(key, "property/shop", "properties:manage", "SCOPE_INSUFFICIENT")
	})
	t.Run("an owner takes one from the account, and gives more for another", func(t *testing.T) {
		claviger.Kubectl(t, "patch", "ksa", account, "-n", namespace, "--as", owner, "--type=merge", "-p",
			`{"spec":{"grants":[{"resource":"property/shop"},{"resource":"property/news","scopes":["reports:read","properties:manage"]}]}}`)
		await(key, "property/shop", "reports:read", "RESOURCE_DENIED")
		await(key, "property/news", "properties:manage", "VALID")
		await(key, "property/blog", "reports:read", "VALID")
	})
	t.Run("a key of an account is adjusted by itself", func(t *testing.T) {
		claviger.Apply(t, namespace, second)
		claviger.Apply(t, namespace, fmt.Sprintf(ofAccount, "dashboard", "dashboards", "reports:read", `{resource: property/shop}, {resource: property/news, scopes: ["properties:manage"]}`))
		claviger.AwaitKey(t, namespace, "dashboard")
		key := claviger.Key(t, namespace, "dashboard")
		claviger.AwaitVerifier(t, key)
		await(key, "property/blog", "reports:read", "VALID")
		await(key, "property/shop", "reports:read", "RESOURCE_DENIED")
		await(key, "property/news", "properties:manage", "VALID")
		claviger.Kubectl(t, "delete", "apikey/dashboard", "ksa/dashboards", "-n", namespace)
	})
	claviger.Kubectl(t, "patch", "ksa", account, "-n", namespace, "--type=merge", "-p", `{"spec":{"grants":null}}`)
	await(key, "property/shop", "reports:read", "VALID")
}

// personal is the token of one user.
const personal = `
apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata:
  name: %s
  annotations: {keys.claviger.dev/created-by: %s}
spec:
  workspaceRef: {name: acme}
  entity: {kind: User, id: %s}
  scopes: ["reports:read"]
  ttl: 8760h
`

// K5: a user has one personal token, good for a year, which nobody else makes.
func TestK5PersonalToken(t *testing.T) {
	organize(t)
	const jane, joe = "jane@acme.example", "joe@acme.example"
	for _, user := range []string{jane, joe} {
		name, _, _ := strings.Cut(user, "@")
		claviger.Kubectl(t, "create", "rolebinding", name, "-n", namespace, "--clusterrole=claviger-key-admin", "--user="+user)
	}
	create := func(as, name, creator, user string) (string, error) {
		return claviger.Try(fmt.Sprintf(personal, name, creator, user), "create", "-n", namespace, "--as", as, "-f", "-")
	}
	t.Run("made by nobody else", func(t *testing.T) {
		if out, err := create(joe, "stolen", jane, jane); err == nil || !strings.Contains(out, "spec.entity.id") {
			t.Errorf("joe makes a token of jane: %v %s", err, out)
		}
	})
	if out, err := create(jane, "jane", joe, jane); err != nil {
		t.Fatalf("jane makes hers: %v %s", err, out)
	}
	claviger.AwaitKey(t, namespace, "jane")
	key := claviger.Key(t, namespace, "jane")
	claviger.AwaitVerifier(t, key)

	t.Run("begins with pat and works", func(t *testing.T) {
		if !strings.HasPrefix(key, "pat_live_") {
			t.Error("it begins otherwise")
		}
		if got := claviger.Verify(t, key); !got.Valid || got.Key.Workspace != workspace {
			t.Errorf("it is answered %+v", got)
		}
	})
	t.Run("whose it is cannot be forged", func(t *testing.T) {
		const creator = `jsonpath={.metadata.annotations.keys\.claviger\.dev/created-by}`
		if got := claviger.Kubectl(t, "get", "apikey", "jane", "-n", namespace, "-o", creator); got != jane {
			t.Errorf("created by %s", got)
		}
		for _, change := range []string{"keys.claviger.dev/created-by=" + joe, "keys.claviger.dev/created-by-"} {
			claviger.Try("", "annotate", "apikey", "jane", "-n", namespace, "--as", jane, "--overwrite", change) //nolint:errcheck // what counts is what becomes of it
			if got := claviger.Kubectl(t, "get", "apikey", "jane", "-n", namespace, "-o", creator); got != jane {
				t.Errorf("after %s it was created by %s", change, got)
			}
		}
	})
	t.Run("one at a time", func(t *testing.T) {
		if out, err := create(jane, "jane-again", jane, jane); err == nil {
			t.Errorf("jane makes another one: %s", out)
		} else if !strings.Contains(out, "personal token") {
			t.Errorf("she is told %s", out)
		}
		if out, err := create(joe, "joe", joe, joe); err != nil {
			t.Errorf("joe makes his: %v %s", err, out)
		}
	})
	t.Run("another one ends the one before at once", func(t *testing.T) {
		claviger.Kubectl(t, "annotate", "apikey", "jane", "-n", namespace, "--as", jane, "keys.claviger.dev/regenerate=now")
		claviger.AwaitCode(t, key, "KEY_INVALID")
		next := claviger.Key(t, namespace, "jane")
		claviger.AwaitVerifier(t, next)
	})
	t.Run("the one after it, once that is revoked", func(t *testing.T) {
		claviger.Kubectl(t, "patch", "apikey", "jane", "-n", namespace, "--as", jane, "--type=merge", "-p", `{"spec":{"state":"Revoked"}}`)
		stack.Eventually(t, func() string {
			out, err := create(jane, "jane-again", jane, jane)
			if err != nil {
				return out
			}
			return ""
		})
	})
}
