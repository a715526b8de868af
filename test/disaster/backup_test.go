package disaster

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claviger-dev/claviger/test/stack"
)

// The namespace that the guide's commands name.
const guideNamespace = "shop"

// furnished is a namespace with keys of all sorts, and the plain text of each, by the ApiKey's name.
func furnished(t *testing.T, s *stack.Stack, sealed string) map[string]string {
	t.Helper()
	ns := s.Namespace(t, guideNamespace)
	held := rand.Text()
	s.Kubectl(t, "create", "secret", "generic", "old-key", "-n", ns, "--from-literal=api-key="+held)
	s.Apply(t, ns, `
apiVersion: keys.claviger.dev/v1alpha1
kind: Workspace
metadata: {name: shop}
spec: {deletionPolicy: Cascade}
---
apiVersion: keys.claviger.dev/v1alpha1
kind: KeyLimit
metadata: {name: standard}
spec: {rates: [{requests: 1000, per: 1s}]}
---
apiVersion: keys.claviger.dev/v1alpha1
kind: ServiceAccount
metadata: {name: machine}
spec: {workspaceRef: {name: shop}, token: {delivery: {existing: Adopt}}}
---`+keyManifest("adopting", "  limitRefs: [{name: standard}]\n  ttl: 24h\n  delivery: {existing: Adopt}")+
		"---"+keyManifest("renamed", "  delivery: {existing: Adopt, secretName: its-secret, deletionPolicy: Retain}")+
		"---"+keyManifest("refusing", "")+
		"---"+keyManifest("revoked", "  delivery: {existing: Adopt}")+
		"---"+keyManifest("held", "  ttl: 24h\n  source: {secretRef: {name: old-key}}")+
		"---"+keyManifest("sealed", sealed))
	awaitThere(t, s, ns, "apikey/machine")
	s.AwaitKey(t, ns, "adopting", "renamed", "refusing", "revoked", "held", "sealed", "machine")
	keys := map[string]string{"held": held, "renamed": s.Key(t, ns, "its-secret")}
	for _, name := range []string{"adopting", "refusing", "revoked", "machine"} {
		keys[name] = s.Key(t, ns, name)
	}
	s.Kubectl(t, "patch", "apikey", "revoked", "-n", ns, "--type=merge", "-p", `{"spec":{"state":"Revoked"}}`)
	for name, key := range keys {
		code := "VALID"
		if name == "revoked" {
			code = "KEY_REVOKED"
		}
		s.AwaitCode(t, key, code)
	}
	return keys
}

func awaitThere(t *testing.T, s *stack.Stack, namespace, object string) {
	t.Helper()
	stack.Eventually(t, func() string {
		if s.Kubectl(t, "get", object, "-n", namespace, "--ignore-not-found", "-o", "name") == "" {
			return object + " does not exist"
		}
		return ""
	})
}

// expectRestored says what the guide says of a namespace that was restored.
func expectRestored(t *testing.T, s *stack.Stack, keys map[string]string) {
	t.Helper()
	ns := guideNamespace
	awaitThere(t, s, ns, "apikey/machine")
	s.AwaitKey(t, ns, "adopting", "renamed", "revoked", "held", "sealed", "machine")
	for _, name := range []string{"adopting", "renamed", "held", "machine"} {
		s.AwaitCode(t, keys[name], "VALID")
	}
	for secret, name := range map[string]string{"adopting": "adopting", "its-secret": "renamed", "machine": "machine"} {
		if s.Key(t, ns, secret) != keys[name] {
			t.Errorf("Secret %s holds another key", secret)
		}
	}
	if state := status(t, s, ns, "revoked", "state"); state != "Revoked" {
		t.Errorf("the revoked key is %s", state)
	}
	if code := s.Verify(t, keys["revoked"]).Code; code != "KEY_INVALID" {
		t.Errorf("the revoked key is answered %s", code)
	}

	// One that does not adopt leaves the Secret, and can be told to adopt yet.
	awaitStatus(t, s, ns, "refusing", readyReason, "SecretConflict")
	s.AwaitCode(t, keys["refusing"], "KEY_INVALID")
	paste(t, s, t.TempDir(), block(t, "adopt after all"))
	s.AwaitKey(t, ns, "refusing")
	s.AwaitCode(t, keys["refusing"], "VALID")
}

func TestANamespaceFromABackupHasTheKeysThatAreAdoptedOrBroughtAlong(t *testing.T) {
	identity := newIdentity(t)
	keys := furnished(t, claviger, sealedTo(identity))
	sealed := unsealed(t, claviger, guideNamespace, "sealed", identity)
	ends := map[string]string{}
	for _, name := range []string{"adopting", "machine", "held"} {
		ends[name] = status(t, claviger, guideNamespace, name, "expiresAt")
	}
	dir := t.TempDir()
	paste(t, claviger, dir, block(t, "back up"))
	for _, gone := range []string{"ownerReferences", `"uid"`} {
		for _, file := range []string{"secrets.json", "keys.json"} {
			if text, err := os.ReadFile(filepath.Join(dir, file)); err != nil || strings.Contains(string(text), gone) {
				t.Errorf("%s has %s in it, error %v", file, gone, err)
			}
		}
	}

	expect := func(t *testing.T, s *stack.Stack) {
		expectRestored(t, s, keys)
		for name, end := range ends {
			anew := status(t, s, guideNamespace, name, "expiresAt") != end
			if wanted := name == "held"; anew != wanted {
				t.Errorf("that the life of %s began anew is %v", name, anew)
			}
		}
		s.AwaitCode(t, sealed, "KEY_INVALID")
		s.AwaitCode(t, unsealed(t, s, guideNamespace, "sealed", identity), "VALID")
	}
	t.Run("in another cluster", func(t *testing.T) {
		other := anotherCluster(t)
		paste(t, other, dir, block(t, "restore"))
		expect(t, other)
		for _, name := range []string{"adopting", "renamed", "refusing", "held", "machine"} {
			claviger.AwaitCode(t, keys[name], "VALID")
		}
		claviger.AwaitCode(t, sealed, "VALID")
		// Neither knows of the other: what is revoked there works here.
		other.Kubectl(t, "patch", "apikey", "adopting", "-n", guideNamespace, "--type=merge", "-p", `{"spec":{"state":"Revoked"}}`)
		other.AwaitCode(t, keys["adopting"], "KEY_REVOKED")
		claviger.AwaitCode(t, keys["adopting"], "VALID")
	})
	t.Run("after it was deleted", func(t *testing.T) {
		claviger.Kubectl(t, "delete", "namespace", guideNamespace, "--timeout=90s")
		for _, name := range []string{"adopting", "renamed", "refusing", "held", "machine"} {
			claviger.AwaitCode(t, keys[name], "KEY_INVALID")
		}
		paste(t, claviger, dir, block(t, "restore"))
		expect(t, claviger)
	})
}

// anotherCluster is one with a Claviger of its own.
func anotherCluster(t *testing.T) *stack.Stack {
	t.Helper()
	if os.Getenv("CLAVIGER_BINARY") == "" {
		t.Setenv("CLAVIGER_BINARY", filepath.Join(filepath.Dir(claviger.Dir), "claviger")) // built already
	}
	other, err := stack.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := other.Stop(); err != nil {
			t.Error(err)
		}
	})
	return other
}

func TestAnApiKeyThatIsRestoredBeforeItsSecretHasAnotherKey(t *testing.T) {
	t.Parallel()
	ns := claviger.Namespace(t, "wrong-order")
	claviger.Apply(t, ns, workspace+"---"+keyManifest("checkout", "  delivery: {existing: Adopt}"))
	claviger.AwaitKey(t, ns, "checkout")
	out, err := claviger.Try("", "create", "secret", "generic", "checkout", "-n", ns, "--from-literal=api-key="+broughtKey)
	if err == nil || !strings.Contains(out, "exists") {
		t.Errorf("the Secret was restored over that of the new key: %s", out)
	}
	claviger.AwaitCode(t, claviger.Key(t, ns, "checkout"), "VALID")
}

func TestATokenThatIsRestoredWithoutItsOwnerIsInItsAccountsWay(t *testing.T) {
	t.Parallel()
	ns := claviger.Namespace(t, "token-restored")
	claviger.Apply(t, ns, workspace+"---"+keyManifest("machine", ""))
	claviger.AwaitKey(t, ns, "machine")
	claviger.Apply(t, ns, `
apiVersion: keys.claviger.dev/v1alpha1
kind: ServiceAccount
metadata: {name: machine}
spec: {workspaceRef: {name: shop}, token: {}}
`)
	stack.Eventually(t, func() string {
		if reason := claviger.Kubectl(t, "get", "ksa", "machine", "-n", ns, "-o", "jsonpath={.status."+readyReason+"}"); reason != "TokenConflict" {
			return "the account is " + reason
		}
		return ""
	})
}
