package alterlab

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/claviger-dev/claviger/test/stack"
)

// legacy is an organization with two keys of AlterLab's own, and one of Claviger's. Of one the text is
// known, of the other its hash alone.
const legacy = `
apiVersion: keys.claviger.dev/v1alpha1
kind: Workspace
metadata: {name: legacy}
---
apiVersion: v1
kind: Secret
metadata: {name: old-crawler}
stringData: {key: %s}
---
apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata: {name: crawler}
spec:
  workspaceRef: {name: legacy}
  source: {secretRef: {name: old-crawler, key: key}}
---
apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata: {name: partner}
spec:
  workspaceRef: {name: legacy}
  source: {sha256: %s}
---
apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata: {name: fresh}
spec:
  workspaceRef: {name: legacy}
`

func foreignKey() string {
	random := make([]byte, 24)
	rand.Read(random)
	return "alk-" + hex.EncodeToString(random)
}

// A10: keys of its own format go on working, one sees whether and how many there are, and can note that their users were told.
func TestA10LegacyKeys(t *testing.T) {
	issue(t)
	known, hashed := foreignKey(), foreignKey()
	claviger.Apply(t, namespace, fmt.Sprintf(legacy, known, fmt.Sprintf("%x", sha256.Sum256([]byte(hashed)))))
	claviger.AwaitKey(t, namespace, "crawler", "partner", "fresh")
	workspace := func(jsonpath string) string {
		t.Helper()
		return claviger.Kubectl(t, "get", "workspace", "legacy", "-n", namespace, "-o", "jsonpath="+jsonpath)
	}
	awaitCount := func(want string) {
		t.Helper()
		stack.Eventually(t, func() string {
			if got := workspace(`{.status.keys.legacy} {.status.conditions[?(@.type=="LegacyKeys")].status}`); got != want {
				return fmt.Sprintf("the workspace tells of %q, not %q", got, want)
			}
			return ""
		})
	}
	t.Run("they work", func(t *testing.T) {
		for name, key := range map[string]string{"crawler": known, "partner": hashed} {
			claviger.AwaitVerifier(t, key)
			if answer := claviger.Auth(t, "", "X-API-Key", key, "X-Organization-Id", namespace+"/legacy"); answer.Status != 200 {
				t.Errorf("%s: %d %s", name, answer.Status, answer.Body)
			}
			if answer := claviger.Auth(t, "", "X-API-Key", key, "X-Organization-Id", namespace+"/acme"); answer.Status != 401 {
				t.Errorf("%s of another organization: %d %s", name, answer.Status, answer.Body)
			}
		}
	})
	t.Run("they are told from others, and counted", func(t *testing.T) {
		for name, want := range map[string]string{"crawler": "true", "partner": "true", "fresh": ""} {
			if got := claviger.Kubectl(t, "get", "apikey", name, "-n", namespace, "-o", "jsonpath={.status.legacy}"); got != want {
				t.Errorf("legacy of %s is %q", name, got)
			}
		}
		awaitCount("2 True")
	})
	t.Run("that the notice was shown is noted", func(t *testing.T) {
		const notice = `{.metadata.annotations.example\.com/legacy-notice-shown}`
		if got := workspace(notice); got != "" {
			t.Errorf("before, it says %s", got)
		}
		claviger.Kubectl(t, "annotate", "workspace", "legacy", "-n", namespace, "example.com/legacy-notice-shown=2026-11-27")
		if got := workspace(notice); got != "2026-11-27" {
			t.Errorf("afterwards, it says %q", got)
		}
	})
	t.Run("those that are gone do not count", func(t *testing.T) {
		claviger.Kubectl(t, "delete", "apikey", "partner", "-n", namespace)
		claviger.AwaitCode(t, hashed, "KEY_INVALID")
		awaitCount("1 True")
		claviger.Kubectl(t, "patch", "apikey", "crawler", "-n", namespace, "--type=merge", "-p", `{"spec":{"state":"Revoked"}}`)
		claviger.AwaitCode(t, known, "KEY_REVOKED")
		stack.Eventually(t, func() string {
			if got := workspace(`{.status.conditions[?(@.type=="LegacyKeys")].status}`); got != "" {
				return "the condition is still " + strings.TrimSpace(got)
			}
			return ""
		})
	})
}
