package e2e

import (
	"strings"
	"testing"

	"github.com/claviger-dev/claviger/test/stack"
)

func readyReason(t *testing.T, namespace, name string) string {
	t.Helper()
	return claviger.Kubectl(t, "get", "apikey", name, "-n", namespace, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].reason}`)
}

func awaitReason(t *testing.T, namespace, name, reason string) {
	t.Helper()
	stack.Eventually(t, func() string {
		if got := readyReason(t, namespace, name); got != reason {
			return name + " is Ready or not by the reason " + got + ", not " + reason
		}
		return ""
	})
}

func TestSomebodyElsesSecretIsNeverTouched(t *testing.T) {
	ns := claviger.Namespace(t, "conflict")
	claviger.Kubectl(t, "create", "secret", "generic", "taken", "-n", ns, "--from-literal=api-key=mine", "--from-literal=other=too")
	before := claviger.Kubectl(t, "get", "secret", "taken", "-n", ns, "-o", "yaml")

	claviger.Apply(t, ns, shop+apiKey("taken", "shop", ""))
	awaitReason(t, ns, "taken", "SecretConflict")
	if after := claviger.Kubectl(t, "get", "secret", "taken", "-n", ns, "-o", "yaml"); after != before {
		t.Errorf("the Secret was changed from\n%s\nto\n%s", before, after)
	}
	claviger.Kubectl(t, "delete", "apikey", "taken", "-n", ns)
	claviger.Kubectl(t, "get", "secret", "taken", "-n", ns)

	// Two ApiKeys that name one Secret: the first has it, and the second says so until it is free.
	claviger.Apply(t, ns, apiKey("first", "shop", "delivery: {secretName: both}"))
	claviger.AwaitKey(t, ns, "first")
	claviger.Apply(t, ns, apiKey("second", "shop", "delivery: {secretName: both}"))
	awaitReason(t, ns, "second", "SecretConflict")
	key := claviger.Key(t, ns, "both")
	claviger.AwaitCode(t, key, "VALID")
	claviger.Kubectl(t, "delete", "apikey", "first", "-n", ns)
	claviger.AwaitKey(t, ns, "second")
	if claviger.Key(t, ns, "both") == key {
		t.Error("the second ApiKey took over the key of the first")
	}
}

func TestALostSecretIsReplacedOrReported(t *testing.T) {
	ns := claviger.Namespace(t, "loss")
	keys := issueKeys(t, ns, shop+apiKey("rotating", "shop", "delivery: {labels: {team: web}}")+apiKey("failing", "shop", "delivery: {onLoss: Fail}"), "rotating", "failing")

	claviger.Kubectl(t, "delete", "secret", "rotating", "failing", "-n", ns)
	claviger.AwaitCode(t, keys["rotating"], "KEY_INVALID")
	claviger.AwaitKey(t, ns, "rotating")
	if renewed := claviger.Key(t, ns, "rotating"); renewed == keys["rotating"] {
		t.Error("the lost key came back")
	} else {
		claviger.AwaitCode(t, renewed, "VALID")
	}
	if label := claviger.Kubectl(t, "get", "secret", "rotating", "-n", ns, "-o", "jsonpath={.metadata.labels.team}"); label != "web" {
		t.Errorf("the new Secret is labelled %q", label)
	}

	awaitReason(t, ns, "failing", "SecretLost")
	claviger.AwaitCode(t, keys["failing"], "VALID")
	for _, name := range []string{"rotating", "failing"} {
		stack.Eventually(t, func() string {
			if events := claviger.Kubectl(t, "events", "-n", ns, "--for=apikey/"+name); !strings.Contains(events, "Secret") {
				return "no Event tells of the lost Secret of " + name + ":\n" + events
			}
			return ""
		})
	}
}

func TestAKeyWaitsForWhatItNames(t *testing.T) {
	ns := claviger.Namespace(t, "waiting")
	claviger.Apply(t, ns, apiKey("early", "shop", "serviceAccountRef: {name: robot}, limitRefs: [{name: three}]"))
	awaitReason(t, ns, "early", "WorkspaceNotFound")
	claviger.Apply(t, ns, shop)
	claviger.AwaitKey(t, ns, "early")
	claviger.AwaitCode(t, claviger.Key(t, ns, "early"), "VALID")
}

func TestTheWebhookSaysWhatIsWrong(t *testing.T) {
	ns := claviger.Namespace(t, "refusals")
	claviger.Apply(t, ns, shop+`---
apiVersion: keys.claviger.dev/v1alpha1
kind: Workspace
metadata: {name: strict}
spec: {keys: {defaultTTL: 1h, maxTTL: 2h, maxKeys: 1}}
`)
	claviger.Apply(t, ns, apiKey("only", "strict", "")+apiKey("settled", "shop", "")+apiKey("over", "shop", ""))
	claviger.AwaitKey(t, ns, "only", "settled", "over")
	patch(t, ns, "apikey", "over", `{"state":"Revoked"}`)

	for name, test := range map[string]struct{ manifest, field string }{
		"a scope outside the catalogue":   {apiKey("a", "shop", `scopes: ["orders:delete"]`), "spec.scopes[0]"},
		"a scope above the ceiling":       {apiKey("a", "shop", `scopes: ["orders:create"], serviceAccountRef: {name: robot}`), "spec.scopes[0]"},
		"a time to live over the maximum": {apiKey("a", "strict", "ttl: 3h"), "spec.ttl"},
		"both ends":                       {apiKey("a", "shop", `ttl: 1h, expiresAt: "2099-01-01T00:00:00Z"`), "expiresAt or ttl"},
		"a changed workspace":             {apiKey("settled", "strict", ""), "spec.workspaceRef"},
		"a changed environment":           {apiKey("settled", "shop", "environment: test"), "spec.environment"},
		"a changed prefix":                {apiKey("settled", "shop", "prefix: vk"), "spec.prefix"},
		"an un-revoke":                    {apiKey("over", "shop", "state: Active"), "spec.state"},
		"a malformed scope":               {apiKey("a", "shop", `scopes: ["orders read"]`), "spec.scopes[0]"},
		"a malformed prefix":              {apiKey("a", "shop", "prefix: A_B"), "spec.prefix"},
		"a malformed CIDR":                {apiKey("a", "shop", `allowedCIDRs: ["10.0.0.0/33"]`), "spec.allowedCIDRs[0]"},
		"one key too many":                {apiKey("a", "strict", ""), "maxKeys"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := claviger.Try(test.manifest, "apply", "-n", ns, "-f", "-")
			if err == nil || !strings.Contains(out, test.field) {
				t.Errorf("want a refusal that names %s, got %v\n%s", test.field, err, out)
			}
		})
	}
}
