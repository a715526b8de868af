package cli

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// around is what the manifests of TestLintJudgesAsTheClusterDoes are applied beside.
const around = `
apiVersion: keys.claviger.dev/v1alpha1
kind: Workspace
metadata: {name: strict}
spec: {scopes: [{name: "orders:read"}, {name: "orders:write", implies: ["orders:read"]}], keys: {maxTTL: 720h, defaultTTL: 24h}}
---
apiVersion: keys.claviger.dev/v1alpha1
kind: ServiceAccount
metadata: {name: reader}
spec: {workspaceRef: {name: strict}, scopes: ["orders:read"], maxActiveKeys: 1}
---
apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata: {name: first}
spec: {workspaceRef: {name: strict}, serviceAccountRef: {name: reader}}
---
`

func TestLintJudgesAsTheClusterDoes(t *testing.T) {
	ns := newNamespace(t, "lint")
	for _, text := range strings.Split(around, "---\n") {
		if strings.TrimSpace(text) != "" {
			mustCreate(t, parse(t, ns, text))
		}
	}
	key := func(spec string) string {
		return "apiVersion: keys.claviger.dev/v1alpha1\nkind: ApiKey\nmetadata: {name: new}\nspec: {workspaceRef: {name: strict}" + spec + "}\n"
	}
	of := func(kind, spec string) string {
		return "apiVersion: keys.claviger.dev/v1alpha1\nkind: " + kind + "\nmetadata: {name: new}\nspec: {" + spec + "}\n"
	}
	const recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
	for _, c := range []struct {
		name, manifest string
		wrong          bool
	}{
		{"a key", key(``), false},
		{"a key with all that is good", key(`, scopes: ["orders:write"], ttl: 48h, rotation: {every: 24h, overlap: 1h}, delivery: {type: Sealed, recipients: [` + recipient + `]}`), false},
		{"a key of a workspace that is to come", "apiVersion: keys.claviger.dev/v1alpha1\nkind: ApiKey\nmetadata: {name: new}\nspec: {workspaceRef: {name: later}}\n", false},
		{"no workspace", of("ApiKey", "displayName: x"), true},
		{"a scope that is not in the catalogue", key(`, scopes: ["orders:read", "orders:drop"]`), true},
		{"a malformed scope", key(`, scopes: ["a b"]`), true},
		{"a scope twice", key(`, scopes: ["orders:read", "orders:read"]`), true},
		{"a scope above the account's", key(`, serviceAccountRef: {name: reader}, scopes: ["orders:write"]`), true},
		{"one key too many", key(`, serviceAccountRef: {name: reader}`), true},
		{"a revoked one is not", key(`, serviceAccountRef: {name: reader}, state: Revoked`), false},
		{"a ttl that is too long", key(`, ttl: 721h`), true},
		{"a ttl that is none", key(`, ttl: soon`), true},
		{"two ends", key(`, ttl: 1h, expiresAt: "2027-01-31T12:00:00Z"`), true},
		{"an unknown environment", key(`, environment: prod`), true},
		{"an impossible prefix", key(`, prefix: My_Key`), true},
		{"a network with bits behind its mask", key(`, allowedCIDRs: ["10.1.2.3/8"]`), true},
		{"an overlap longer than the time between", key(`, rotation: {every: 1h, overlap: 2h}`), true},
		{"sealed to nobody", key(`, delivery: {type: Sealed}`), true},
		{"sealed to what is no recipient", key(`, delivery: {type: Sealed, recipients: [ssh-ed25519]}`), true},
		{"sealed to a recipient that was mistyped", key(`, delivery: {type: Sealed, recipients: [` + strings.Replace(recipient, "z7h", "z7j", 1) + `]}`), true},
		{"Claviger's own labels on the Secret", key(`, delivery: {labels: {keys.claviger.dev/secret: x}}`), true},
		{"two sources", key(`, source: {sha256: "` + strings.Repeat("0", 64) + `", secretRef: {name: x}}`), true},
		{"a source and its rotation", key(`, source: {secretRef: {name: x}}, rotation: {every: 1h}`), true},
		{"an account above the catalogue", of("ServiceAccount", `workspaceRef: {name: strict}, scopes: ["orders:drop"]`), true},
		{"an account without room", of("ServiceAccount", `workspaceRef: {name: strict}, maxActiveKeys: -1`), true},
		{"a workspace whose default is above its maximum", of("Workspace", `keys: {defaultTTL: 2h, maxTTL: 1h}`), true},
		{"a workspace with a wildcard in its catalogue", of("Workspace", `scopes: [{name: "orders:*"}]`), true},
		{"a workspace", of("Workspace", `displayName: New`), false},
		{"a limit without a span", of("KeyLimit", `rates: [{requests: 5}]`), true},
		{"a limit that has no place in memory", of("KeyLimit", `rates: [{requests: 5, per: 1s, burst: 0}]`), true},
		{"a limit", of("KeyLimit", `rates: [{requests: 5, per: 1m}]`), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cluster := admin.Create(t.Context(), parse(t, ns, c.manifest), client.DryRunAll)
			if refused := apierrors.IsInvalid(cluster) || apierrors.IsForbidden(cluster); refused != c.wrong || cluster != nil && !refused {
				t.Fatalf("the cluster says %v", cluster)
			}
			r := claviger(t, ns, around+c.manifest, "lint", "-")
			if wrong := r.code == 1; wrong != c.wrong {
				t.Fatalf("lint says, with %d,\n%s%s\nand the cluster %v", r.code, r.out, r.err, cluster)
			}
			var status apierrors.APIStatus
			if errors.As(cluster, &status) && status.Status().Details != nil {
				for _, cause := range status.Status().Details.Causes {
					if cause.Field == "<nil>" {
						continue // that some rules were not asked any more
					}
					if field, _, _ := strings.Cut(cause.Field, "["); !strings.Contains(r.out, field) {
						t.Errorf("the cluster refuses %s, and lint says\n%s", cause.Field, r.out)
					}
				}
			}
		})
	}
}

func parse(t *testing.T, namespace, text string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	object.SetNamespace(namespace)
	return object
}

func TestLintNamesThePlace(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "sub", "keys.yaml")
	text := around + "apiVersion: keys.claviger.dev/v1alpha1\nkind: ApiKey\nmetadata: {name: new}\nspec:\n  workspaceRef: {name: strict}\n  scopes:\n  - orders:read\n  - orders:drop\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	line := strings.Count(text[:strings.Index(text, "- orders:drop")], "\n") + 1
	for _, path := range []string{dir, file} {
		r := claviger(t, "x", "", "lint", path).want(t, 1, "Passed over 1 of v1 ConfigMap", "1 mistake in 4 objects")
		if want := file + ":" + strconv.Itoa(line) + ": spec.scopes[1]: "; !strings.HasPrefix(r.out, want) {
			t.Errorf("%s, not\n%s", r.out, want)
		}
	}
	if r := claviger(t, "x", "", "lint", "-o", "github", file).want(t, 1); !strings.HasPrefix(r.out, "::error file="+file+",line="+strconv.Itoa(line)+"::spec.scopes[1]: ") {
		t.Errorf("for GitHub\n%s", r.out)
	}
	var found struct {
		Objects  int
		Findings []struct {
			File, Severity, Text string
			Line                 int
		}
	}
	r := claviger(t, "x", "", "lint", "-o", "json", file).want(t, 1)
	if err := json.Unmarshal([]byte(r.out), &found); err != nil || found.Objects != 4 || len(found.Findings) != 1 || found.Findings[0].Line != line || found.Findings[0].Severity != "error" {
		t.Errorf("as JSON %+v, %v", found, err)
	}
	claviger(t, "x", "", "lint", filepath.Join(dir, "absent")).want(t, 1)
	claviger(t, "x", "just text", "lint", "-").want(t, 1)
	claviger(t, "x", "kind: ConfigMap\napiVersion: v1\nmetadata: {name: x}\n", "lint", "-").want(t, 0, "nothing of keys.claviger.dev")
}

// What is declared needs no cluster and is right; an end that has come is worth a look, and nothing more.
func TestLintWarnsOfWhatTheClusterLetsPass(t *testing.T) {
	const text = `
apiVersion: keys.claviger.dev/v1alpha1
kind: Workspace
metadata: {name: shop}
---
apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata: {name: over}
spec: {workspaceRef: {name: shop}, expiresAt: "2020-01-01T00:00:00Z"}
---
apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata: {name: endless}
spec: {workspaceRef: {name: shop}, limitRefs: [{name: absent}]}
`
	r := claviger(t, "x", text, "lint", "-").want(t, 0, "No mistakes in 3 objects")
	for _, want := range []string{"standard input:9: warning: spec.expiresAt: is over", "standard input:14: warning: spec.expiresAt: the key never expires", `"absent" is not among these manifests`} {
		if !strings.Contains(r.out, want) {
			t.Errorf("%q is missing in\n%s", want, r.out)
		}
	}
}
