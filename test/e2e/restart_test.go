package e2e

import (
	"strconv"
	"strings"
	"testing"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/test/stack"
)

// Stopping loses nothing and starting again changes nothing: this is what an upgrade, a
// node that is drained and a second `make run` have in common.
func TestARestartKeepsKeysAndUsage(t *testing.T) {
	ns := claviger.Namespace(t, "restart")
	keys := issueKeys(t, ns, shop+apiKey("steady", "shop", "")+apiKey("quiet", "shop", ""), "steady", "quiet")
	// Only those of these keys: namespaces of earlier tests may still be going.
	uids := strings.Fields(claviger.Kubectl(t, "get", "ak", "-n", ns, "-o", "jsonpath={.items[*].metadata.uid}"))
	secrets := func() string {
		return claviger.Kubectl(t, "get", "secrets", "-A", "-l", v1alpha1.LabelApiKeyUID+" in ("+strings.Join(uids, ",")+")", "--sort-by=.metadata.uid",
			"-o", `jsonpath={range .items[*]}{.metadata.uid} {.metadata.resourceVersion} {.data}{"\n"}{end}`)
	}
	before := secrets()
	if lines := strings.Count(before, "\n"); lines != 4 {
		t.Fatalf("two keys have %d Secrets, want 4:\n%s", lines, before)
	}

	const requests = 500
	for range requests {
		if answer := claviger.Auth(t, "", "X-API-Key", keys["steady"]); answer.Status != 200 {
			t.Fatalf("%d %s", answer.Status, answer.Body)
		}
	}
	// At once: what was counted a moment ago is still in memory.
	if err := claviger.Restart(); err != nil {
		t.Fatal(err)
	}

	for name, key := range keys {
		claviger.AwaitVerifier(t, key)
		if claviger.Key(t, ns, name) != key {
			t.Errorf("%s has another key", name)
		}
		claviger.AwaitCode(t, key, "VALID")
	}
	if after := secrets(); after != before {
		t.Errorf("the Secrets changed from\n%s\nto\n%s", before, after)
	}
	stack.Eventually(t, func() string {
		out := claviger.Kubectl(t, "get", "ak", "steady", "-n", ns, "-o", "jsonpath={.status.usage.total.requests}")
		if count, _ := strconv.Atoi(out); count < requests {
			return out + " requests are counted of " + strconv.Itoa(requests)
		}
		return ""
	})
	// AwaitCode above asked once more, so this is the exact number.
	if out := claviger.Kubectl(t, "get", "ak", "steady", "-n", ns, "-o", "jsonpath={.status.usage.total.requests}"); out != strconv.Itoa(requests) && out != strconv.Itoa(requests+1) {
		t.Errorf("%s requests are counted, %d were made before the restart and one after", out, requests)
	}
}
