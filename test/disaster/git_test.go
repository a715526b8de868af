package disaster

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/claviger-dev/claviger/test/stack"
)

const (
	workspace = `
apiVersion: keys.claviger.dev/v1alpha1
kind: Workspace
metadata: {name: shop}
`
	// broughtKey is published here, and so is worth nothing anywhere else.
	broughtKey = "tok-9vQ2mZ7xLw4RkT8sYb3NcH6dPf1J"
)

func keyManifest(name, rest string) string {
	return fmt.Sprintf(`
apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata: {name: %s}
spec:
  workspaceRef: {name: shop}
%s
`, name, rest)
}

func uid(t *testing.T, namespace, name string) string {
	t.Helper()
	return claviger.Kubectl(t, "get", "apikey", name, "-n", namespace, "-o", "jsonpath={.metadata.uid}")
}

func deleteKey(t *testing.T, namespace, name string) {
	t.Helper()
	claviger.Kubectl(t, "delete", "apikey", name, "-n", namespace)
}

func TestAPlainKeyThatIsAppliedAgainIsAnotherKey(t *testing.T) {
	t.Parallel()
	ns := claviger.Namespace(t, "git-plain")
	manifest := keyManifest("checkout", "")
	claviger.Apply(t, ns, workspace+"---"+manifest)
	claviger.AwaitKey(t, ns, "checkout")
	before := claviger.Key(t, ns, "checkout")
	claviger.AwaitVerifier(t, before)

	deleteKey(t, ns, "checkout")
	claviger.Apply(t, ns, manifest)
	claviger.AwaitKey(t, ns, "checkout")
	after := claviger.Key(t, ns, "checkout")
	claviger.AwaitCode(t, after, "VALID")
	if after == before {
		t.Fatal("the key is the one of before")
	}
	claviger.AwaitCode(t, before, "KEY_INVALID")
}

func TestAKeyWhoseSecretIsRetainedAndAdoptedSurvivesBeingAppliedAgain(t *testing.T) {
	t.Parallel()
	ns := claviger.Namespace(t, "git-adopt")
	manifest := keyManifest("checkout", "  delivery: {deletionPolicy: Retain, existing: Adopt}")
	claviger.Apply(t, ns, workspace+"---"+manifest)
	claviger.AwaitKey(t, ns, "checkout")
	key, was := claviger.Key(t, ns, "checkout"), uid(t, ns, "checkout")
	claviger.AwaitVerifier(t, key)

	deleteKey(t, ns, "checkout")
	claviger.AwaitCode(t, key, "KEY_INVALID")
	claviger.Apply(t, ns, manifest)
	claviger.AwaitKey(t, ns, "checkout")
	if claviger.Key(t, ns, "checkout") != key || uid(t, ns, "checkout") == was {
		t.Fatal("the new ApiKey did not take over the key of the old one")
	}
	if id := claviger.AwaitCode(t, key, "VALID").Key.ID; id != uid(t, ns, "checkout") {
		t.Errorf("the key is counted under %s, not under the new ApiKey", id)
	}
}

func TestAKeyThatIsBroughtAlongSurvivesBeingAppliedAgain(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{
		"hash":   fmt.Sprintf("  source: {sha256: %x}", sha256.Sum256([]byte(broughtKey))),
		"secret": "  source: {secretRef: {name: old-key, key: token}}",
	} {
		t.Run(name, func(t *testing.T) {
			ns := claviger.Namespace(t, "git-brought-"+name)
			claviger.Kubectl(t, "create", "secret", "generic", "old-key", "-n", ns, "--from-literal=token="+broughtKey)
			manifest := keyManifest("checkout", source)
			claviger.Apply(t, ns, workspace+"---"+manifest)
			claviger.AwaitKey(t, ns, "checkout")
			claviger.AwaitCode(t, broughtKey, "VALID")

			deleteKey(t, ns, "checkout")
			claviger.AwaitCode(t, broughtKey, "KEY_INVALID")
			claviger.Apply(t, ns, manifest)
			claviger.AwaitKey(t, ns, "checkout")
			claviger.AwaitCode(t, broughtKey, "VALID")
			deleteKey(t, ns, "checkout") // so that it is in nobody's way
			claviger.AwaitCode(t, broughtKey, "KEY_INVALID")
		})
	}
}

// A Secret that comes back with the ownerReference of before is an orphan to the garbage collector.
func TestARestoredSecretWithItsOldOwnerIsGarbageButWithoutItIsAdopted(t *testing.T) {
	t.Parallel()
	for name, stripped := range map[string]bool{"owned": false, "stripped": true} {
		t.Run(name, func(t *testing.T) {
			ns := claviger.Namespace(t, "restore-"+name)
			manifest := keyManifest("checkout", "  delivery: {existing: Adopt}")
			claviger.Apply(t, ns, workspace+"---"+manifest)
			claviger.AwaitKey(t, ns, "checkout")
			key, was := claviger.Key(t, ns, "checkout"), uid(t, ns, "checkout")
			claviger.AwaitVerifier(t, key)
			deleteKey(t, ns, "checkout")
			claviger.AwaitCode(t, key, "KEY_INVALID")
			awaitNoSecret(t, ns, "checkout")

			owner := fmt.Sprintf("ownerReferences: [{apiVersion: keys.claviger.dev/v1alpha1, kind: ApiKey, name: checkout, uid: %s, controller: true}]", was)
			if stripped {
				owner = ""
			}
			claviger.Apply(t, ns, fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata:
  name: checkout
  labels: {keys.claviger.dev/secret: delivered, keys.claviger.dev/api-key-uid: %s}
  %s
stringData: {api-key: %s, key-id: %s}
`, was, owner, key, was))
			if !stripped {
				awaitNoSecret(t, ns, "checkout")
			}
			claviger.Apply(t, ns, manifest)
			claviger.AwaitKey(t, ns, "checkout")
			if survived := claviger.Key(t, ns, "checkout") == key; survived != stripped {
				t.Errorf("that the key survived is %v", survived)
			}
			claviger.AwaitCode(t, claviger.Key(t, ns, "checkout"), "VALID")
		})
	}
}

func awaitNoSecret(t *testing.T, namespace, name string) {
	t.Helper()
	stack.Eventually(t, func() string {
		return claviger.Kubectl(t, "get", "secret", name, "-n", namespace, "--ignore-not-found", "-o", "name")
	})
}

func TestANamespaceWithKeysCanBeDeleted(t *testing.T) {
	t.Parallel()
	ns := claviger.Namespace(t, "whole-namespace")
	claviger.Apply(t, ns, workspace+"---"+keyManifest("checkout", ""))
	claviger.AwaitKey(t, ns, "checkout")
	key := claviger.Key(t, ns, "checkout")
	claviger.AwaitVerifier(t, key)
	claviger.Kubectl(t, "delete", "namespace", ns, "--timeout=90s")
	claviger.AwaitCode(t, key, "KEY_INVALID")
}

func TestASealedKeyThatIsAppliedAgainIsSealedAnewUnlessItIsBroughtAlong(t *testing.T) {
	t.Parallel()
	ns, identity := claviger.Namespace(t, "git-sealed"), newIdentity(t)
	manifest := keyManifest("checkout", sealedTo(identity))
	claviger.Apply(t, ns, workspace+"---"+manifest)
	claviger.AwaitKey(t, ns, "checkout")
	before := unsealed(t, claviger, ns, "checkout", identity)
	claviger.AwaitVerifier(t, before)

	deleteKey(t, ns, "checkout")
	claviger.AwaitCode(t, before, "KEY_INVALID")
	claviger.Apply(t, ns, manifest)
	claviger.AwaitKey(t, ns, "checkout")
	after := unsealed(t, claviger, ns, "checkout", identity)
	if after == before {
		t.Fatal("what was sealed is the key of before")
	}
	claviger.AwaitCode(t, after, "VALID")

	brought := keyManifest("checkout", fmt.Sprintf("  source: {sha256: %x}", sha256.Sum256([]byte(after))))
	if out, err := claviger.Try(brought, "apply", "-n", ns, "-f", "-"); err == nil {
		t.Errorf("a sealed key was turned into one that is brought along: %s", out)
	}
	deleteKey(t, ns, "checkout")
	for range 2 {
		claviger.AwaitCode(t, after, "KEY_INVALID")
		claviger.Apply(t, ns, brought)
		claviger.AwaitCode(t, after, "VALID")
		deleteKey(t, ns, "checkout")
	}
	claviger.AwaitCode(t, before, "KEY_INVALID")
}

func TestARevocationSurvivesInGitAndInTheSecret(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]string{
		"adopt":   "  delivery: {deletionPolicy: Retain, existing: Adopt}",
		"brought": "  source: {secretRef: {name: old-key, key: token}}",
	} {
		t.Run(name, func(t *testing.T) {
			ns := claviger.Namespace(t, "revoked-"+name)
			key := rand.Text()
			claviger.Kubectl(t, "create", "secret", "generic", "old-key", "-n", ns, "--from-literal=token="+key)
			active, revoked := keyManifest("checkout", spec), keyManifest("checkout", "  state: Revoked\n"+spec)
			claviger.Apply(t, ns, workspace+"---"+active)
			claviger.AwaitKey(t, ns, "checkout")
			if name == "adopt" {
				key = claviger.Key(t, ns, "checkout")
			}
			claviger.AwaitCode(t, key, "VALID")
			claviger.Apply(t, ns, revoked)
			claviger.AwaitCode(t, key, "KEY_REVOKED")
			if name == "adopt" {
				awaitMarkedRevoked(t, ns, "checkout")
			}

			deleteKey(t, ns, "checkout")
			claviger.AwaitCode(t, key, "KEY_INVALID")
			claviger.Apply(t, ns, revoked)
			claviger.AwaitKey(t, ns, "checkout")
			awaitStatus(t, claviger, ns, "checkout", "state", "Revoked")
			if code := claviger.Verify(t, key).Code; code != "KEY_INVALID" && code != "KEY_REVOKED" {
				t.Errorf("the revoked key is answered %s", code)
			}

			// Git has forgotten about it.
			deleteKey(t, ns, "checkout")
			claviger.Apply(t, ns, active)
			if name == "brought" {
				claviger.AwaitCode(t, key, "VALID")
				return
			}
			awaitStatus(t, claviger, ns, "checkout", readyReason, "SecretConflict")
			claviger.AwaitCode(t, key, "KEY_INVALID")
		})
	}
}

// awaitMarkedRevoked waits until the Secret tells that its key is revoked, which is a moment after the verifier does.
func awaitMarkedRevoked(t *testing.T, namespace, secret string) {
	t.Helper()
	stack.Eventually(t, func() string {
		if claviger.Kubectl(t, "get", "secret", secret, "-n", namespace, "-o", `jsonpath={.metadata.annotations.keys\.claviger\.dev/revoked}`) != "true" {
			return "Secret " + secret + " does not tell that its key is revoked"
		}
		return ""
	})
}
