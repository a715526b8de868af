package manifests

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/token"
)

var checkoutName = types.NamespacedName{Namespace: "default", Name: "checkout"}

// exported is the Secret that the operator keeps of demoKey, as kubectl prints it.
func exported(t *testing.T, c credential.Credential) string {
	t.Helper()
	secret := c.Secret("claviger-system")
	secret.APIVersion, secret.Kind = "v1", "Secret"
	text, err := yaml.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEveryFormOfAKeyIsTakenUp(t *testing.T) {
	day := 24 * time.Hour
	issued := noon.Add(-day)
	notAfter := noon.Add(day)
	kept := credential.Credential{
		Hash: token.HashOf(demoKey), ApiKeyUID: "6ef1a3c0-3b7e-4f27-9c7e-0e8f5a4d2b11", ApiKey: checkoutName,
		Generation: 3, Hint: "ak_live_…iZUh", IssuedAt: issued, NotAfter: &notAfter,
	}
	tests := map[string]struct {
		key, secret string
		generation  int
		end         time.Time // zero: none
	}{
		"in plain text":              {checkout, checkoutSecret, 1, time.Time{}},
		"in plain text, in base64":   {checkout, strings.Replace(strings.Replace(checkoutSecret, demoKey, base64.StdEncoding.EncodeToString([]byte(demoKey)), 1), "stringData", "data", 1), 1, time.Time{}},
		"under a chosen name":        {checkout + "  delivery: {secretName: other}\n", strings.Replace(checkoutSecret, "name: checkout", "name: other", 1), 1, time.Time{}},
		"in plain text, with a life": {checkout + "  ttl: 48h\n", checkoutSecret + "  issued-at: " + issued.Format(time.RFC3339) + "\n", 1, noon.Add(day)},
		"as delivered in a cluster":  {checkout + "  ttl: 48h\n", strings.Replace(checkoutSecret, "{name: checkout}", "{name: checkout, creationTimestamp: \""+issued.Format(time.RFC3339)+"\"}", 1), 1, noon.Add(day)},
		"as a hash":                  {checkout, checkoutHash, 1, time.Time{}},
		"as a hash, in capitals":     {checkout, strings.Replace(checkoutHash, demoSHA256, strings.ToUpper(demoSHA256), 1), 1, time.Time{}},
		"as a hash, by annotation":   {checkout, strings.Replace(checkoutHash, "{name: checkout}", "{name: x, namespace: other, annotations: {keys.claviger.dev/api-key: default/checkout}}", 1), 1, time.Time{}},
		"as a hash, by name":         {checkout, strings.Replace(checkoutHash, "{name: checkout}", "{name: x, annotations: {keys.claviger.dev/api-key: checkout}}", 1), 1, time.Time{}},
		"as a later hash":            {checkout, strings.Replace(checkoutHash, "{name: checkout}", `{name: checkout, annotations: {keys.claviger.dev/generation: "7"}}`, 1), 7, time.Time{}},
		"as the operator keeps it":   {checkout, exported(t, kept), 3, notAfter},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			found := files{"shop.yaml": shop, "key.yaml": test.key, "secret.yaml": test.secret}.load(t)
			if len(found.mistakes)+len(found.warnings) > 0 {
				t.Fatal(found.mistakes, found.warnings)
			}
			key := found.state.keys[checkoutName]
			c, ok := found.state.credentials[credentialID{key.UID, test.generation}]
			if !ok || c.Hash != token.HashOf(demoKey) {
				t.Fatalf("there is no such credential among %v", found.state.credentials)
			}
			if end := c.End(&key.Spec); !end.Equal(test.end) {
				t.Errorf("it ends at %v, want %v", end, test.end)
			}
		})
	}
}

// As kubectl get -o yaml prints it, with all that a cluster has noted.
const fromCluster = `apiVersion: v1
kind: List
metadata: {resourceVersion: ""}
items:
- apiVersion: keys.claviger.dev/v1alpha1
  kind: ApiKey
  metadata:
    name: checkout
    namespace: default
    uid: 6ef1a3c0-3b7e-4f27-9c7e-0e8f5a4d2b11
    resourceVersion: "812"
    generation: 2
    creationTimestamp: "2026-11-20T12:00:00Z"
    managedFields: [{manager: kubectl, operation: Update, apiVersion: keys.claviger.dev/v1alpha1, fieldsType: FieldsV1, fieldsV1: {"f:spec": {}}}]
  spec:
    workspaceRef: {name: shop}
    environment: live
    state: Active
    delivery: {deletionPolicy: Delete, onLoss: Rotate}
  status:
    keyID: something
    fieldOfALaterVersion: 1
`

func TestWhatIsTakenFromAClusterKeepsItsIdentity(t *testing.T) {
	const uid = "6ef1a3c0-3b7e-4f27-9c7e-0e8f5a4d2b11"
	kept := credential.Credential{
		Hash: token.HashOf(demoKey), ApiKeyUID: uid, ApiKey: checkoutName, Generation: 1, Hint: "ak_live_…iZUh", IssuedAt: noon,
	}
	all := files{"shop.yaml": shop, "declared.yaml": fromCluster, "hashes.yaml": exported(t, kept)}
	found := all.load(t)
	if len(found.mistakes)+len(found.warnings) > 0 {
		t.Fatal(found.mistakes, found.warnings)
	}
	if c := found.state.credentials[credentialID{uid, 1}]; c.Hash != kept.Hash {
		t.Errorf("got %+v", found.state.credentials)
	}

	kept.ApiKeyUID = "0d4a7a86-7d02-44c3-8ce1-3e3e5a4a0a4f"
	all["hashes.yaml"] = exported(t, kept)
	mistakes := all.load(t).mistakes
	if len(mistakes) != 1 || !strings.Contains(mistakes[0].String(), "belongs to another ApiKey of that name") {
		t.Errorf("of the hash of another it says %v", mistakes)
	}
}

func TestWhatHoldsNoKeyIsLeftAlone(t *testing.T) {
	found := files{
		"shop.yaml": shop, "key.yaml": checkout, "secret.yaml": checkoutSecret,
		"other.yaml":             "apiVersion: v1\nkind: Secret\nmetadata: {name: database}\nstringData: {password: hunter2}\n",
		"deployment.yaml":        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: Nobody's Business}\n",
		"account.yaml":           "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a}\n",
		"values.yaml":            "image: {tag: 1}\n",
		"comment.yaml":           "# nothing\n---\n---\n",
		"empty.yaml":             "",
		"notes.txt":              "apiVersion: [",
		".hidden.yaml":           "apiVersion: [",
		".git/config.yaml":       "apiVersion: [",
		"..2026/also-hidden.yml": "apiVersion: [",
	}.load(t)
	if len(found.mistakes)+len(found.warnings) > 0 {
		t.Error(found.mistakes, found.warnings)
	}
	if len(found.ignored) != 3 {
		t.Errorf("left aside: %v", found.ignored)
	}
}

func TestWhatCannotBeUsedIsAWarning(t *testing.T) {
	tests := map[string]struct {
		files files
		want  string
	}{
		"a key without a Secret": {files{"key.yaml": checkout}, "key.yaml:1: ApiKey default/checkout has no key yet"},
		"a hash without a key":   {files{"hash.yaml": checkoutHash}, "hash.yaml:1: the hash is for ApiKey default/checkout, which is not declared"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.files["shop.yaml"] = shop
			found := test.files.load(t)
			if len(found.mistakes) > 0 || len(found.warnings) != 1 || !strings.HasPrefix(found.warnings[0], test.want) {
				t.Errorf("got %v, %v, want %q", found.mistakes, found.warnings, test.want)
			}
		})
	}
}

// What is right today must not be wrong tomorrow, or a machine that is started anew would stand still.
func TestTimeMakesNoMistakes(t *testing.T) {
	all := files{
		"shop.yaml": strings.Replace(shop, "spec:\n", "spec:\n  keys: {maxTTL: 24h, maxKeys: 1}\n", 1),
		"key.yaml":  checkout + "  expiresAt: \"2026-11-20T12:00:00Z\"\n",
		"hash.yaml": checkoutHash + "  issued-at: \"2026-11-19T12:00:00Z\"\n",
		"next.yaml": strings.ReplaceAll(checkout, "name: checkout", "name: next") + "  ttl: 24h\n",
	}
	found := all.load(t)
	if len(found.mistakes) > 0 {
		t.Error(found.mistakes)
	}
}

func TestOneKeyTooManyIsAMistake(t *testing.T) {
	found := files{
		"shop.yaml": strings.Replace(shop, "spec:\n", "spec:\n  keys: {maxKeys: 1}\n", 1),
		"a.yaml":    checkout,
		"b.yaml":    strings.Replace(checkout, "name: checkout", "name: other", 1),
	}.load(t)
	const want = `b.yaml:5: spec.workspaceRef: Forbidden: Workspace "shop" may have 1 key and has 1`
	if len(found.mistakes) != 1 || !strings.HasPrefix(found.mistakes[0].String(), want) {
		t.Errorf("got %v, want %q", found.mistakes, want)
	}
}

func TestTheSamplesAreRight(t *testing.T) {
	for directory, usable := range map[string]int{"../../examples/edge": 2, "../../config/samples": 0} {
		found, err := load(read(directory), noon)
		if err != nil || len(found.mistakes) > 0 || len(found.state.credentials) != usable {
			t.Errorf("%s: %v, %v, %d keys can be used, want %d", directory, err, found.mistakes, len(found.state.credentials), usable)
		}
	}
}

func TestUIDsAreDerivedFromNames(t *testing.T) {
	got := derivedUID("ApiKey", checkoutName)
	if got != derivedUID("ApiKey", checkoutName) || got == derivedUID("Workspace", checkoutName) {
		t.Error("the UID is not the kind's and the name's")
	}
	// RFC 9562: the version is the first digit of the third group, the variant begins the fourth.
	if got[14] != '8' || !strings.ContainsRune("89ab", rune(got[19])) {
		t.Errorf("%s is not a UUID of version 8", got)
	}
}
