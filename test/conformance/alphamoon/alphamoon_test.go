// Package alphamoon shows that Claviger can stand in for Alphamoon's organization API keys, as far as they are
// managed with kubectl: one test for each row of its table.
package alphamoon

import (
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/test/controlplane"
	"github.com/claviger-dev/claviger/test/stack"
)

const (
	namespace = "alphamoon"
	workspace = namespace + "/alphamoon"
)

//go:embed manifests/keys.yaml
var manifests string

var claviger *stack.Stack

func TestMain(m *testing.M) {
	os.Exit(stack.Run(m, func(s *stack.Stack) { claviger = s }))
}

// mine is the key that its test makes as its page has it: a name, an end and scopes.
const mine = `
apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata: {name: %s}
spec:
  workspaceRef: {name: alphamoon}
  displayName: %s
  expiresAt: %s
  scopes: [%q]
`

var expiry = time.Now().Add(60 * 24 * time.Hour).UTC().Format(time.RFC3339)

var keys = map[string]string{}

// issue applies the catalogue and the keys once, and reads every key out of its Secret.
func issue(t *testing.T) {
	t.Helper()
	if len(keys) > 0 {
		return
	}
	catalogue, err := os.ReadFile(filepath.Join(controlplane.RepositoryRoot(), "config/samples/catalogues/alphamoon.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	claviger.Kubectl(t, "create", "namespace", namespace)
	claviger.Apply(t, namespace, string(catalogue))
	claviger.Apply(t, namespace, manifests)
	claviger.Apply(t, namespace, fmt.Sprintf(mine, "test", "TEST API key", expiry, "workspace.collection:create"))
	for _, name := range []string{"upload", "archive", "administration", "ending", "test"} {
		claviger.AwaitKey(t, namespace, name)
		keys[name] = claviger.Key(t, namespace, name)
		claviger.AwaitVerifier(t, keys[name])
	}
}

// M1: a key is made with a name, an end and scopes, and the answer tells what it is, and the key.
func TestM1Create(t *testing.T) {
	issue(t)
	var key struct {
		Metadata struct{ CreationTimestamp string }
		Spec     struct {
			DisplayName  string
			Scopes       []string
			WorkspaceRef struct{ Name string }
		}
		Status struct{ KeyID, State, IssuedAt, ExpiresAt, SecretName string }
	}
	text := claviger.Kubectl(t, "get", "apikey", "test", "-n", namespace, "-o", "json")
	if err := json.Unmarshal([]byte(text), &key); err != nil {
		t.Fatal(err)
	}
	if key.Status.KeyID == "" || key.Metadata.CreationTimestamp == "" || key.Status.IssuedAt == "" {
		t.Errorf("no ID, or no time of its making: %+v", key)
	}
	if key.Spec.DisplayName != "TEST API key" || key.Spec.WorkspaceRef.Name != "alphamoon" || !slices.Equal(key.Spec.Scopes, []string{"workspace.collection:create"}) {
		t.Errorf("the key is %+v", key.Spec)
	}
	if key.Status.State != "Active" || key.Status.ExpiresAt != expiry {
		t.Errorf("the status is %+v, and the key should be Active until %s", key.Status, expiry)
	}
	if strings.Contains(text, keys["test"]) {
		t.Error("the ApiKey shows the key")
	}
	if got := claviger.Verify(t, keys["test"]); !got.Valid || got.Key.ID != key.Status.KeyID || got.Key.Workspace != workspace || got.Key.DisplayName != "TEST API key" {
		t.Errorf("the verifier says %+v", got)
	}
}

// M2: the keys are listed by pages with their total, and none shows a key.
func TestM2List(t *testing.T) {
	issue(t)
	type page struct {
		Metadata struct {
			Continue           string
			RemainingItemCount int
		}
		Items []struct{ Metadata struct{ Name string } }
	}
	const list = "/apis/keys.claviger.dev/v1alpha1/namespaces/" + namespace + "/apikeys?limit=2"
	var names []string
	for next, total := "", 0; ; {
		text := claviger.Kubectl(t, "get", "--raw", list+"&continue="+next)
		var p page
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatal(err)
		}
		showsNoKey(t, text)
		if len(p.Items) > 2 {
			t.Errorf("a page of two has %d", len(p.Items))
		}
		for _, item := range p.Items {
			names = append(names, item.Metadata.Name)
		}
		if sum := len(names) + p.Metadata.RemainingItemCount; total == 0 {
			total = sum
		} else if sum != total {
			t.Errorf("a page tells of %d, the first told of %d", sum, total)
		}
		if next = p.Metadata.Continue; next == "" {
			if len(names) != total || total < len(keys) {
				t.Errorf("listed were %v, told of %d", names, total)
			}
			break
		}
	}
	text := claviger.Kubectl(t, "get", "apikeys", "-n", namespace, "--chunk-size=2", "-o", "yaml")
	showsNoKey(t, text)
	for name := range keys {
		if !slices.Contains(names, name) || !strings.Contains(text, "name: "+name+"\n") {
			t.Errorf("%s is not listed", name)
		}
	}
}

func showsNoKey(t *testing.T, text string) {
	t.Helper()
	for name, key := range keys {
		if strings.Contains(text, key) {
			t.Errorf("the key of %s is shown", name)
		}
	}
}

// M3: a key is deleted by its name or by its ID.
func TestM3Delete(t *testing.T) {
	issue(t)
	for _, name := range []string{"leaving", "left"} {
		claviger.Apply(t, namespace, fmt.Sprintf(mine, name, name, expiry, "workspace.result:read"))
		claviger.AwaitKey(t, namespace, name)
	}
	byID, byName := claviger.Key(t, namespace, "leaving"), claviger.Key(t, namespace, "left")
	claviger.AwaitVerifier(t, byID)
	claviger.AwaitVerifier(t, byName)

	id := claviger.Verify(t, byID).Key.ID
	name := claviger.Kubectl(t, "get", "apikeys", "-n", namespace, "-o", fmt.Sprintf(`jsonpath={.items[?(@.status.keyID==%q)].metadata.name}`, id))
	if name != "leaving" {
		t.Fatalf("key %s is of ApiKey %q", id, name)
	}
	claviger.Kubectl(t, "delete", "apikey", name, "left", "-n", namespace)
	claviger.AwaitCode(t, byID, "KEY_INVALID")
	claviger.AwaitCode(t, byName, "KEY_INVALID")
	if left := claviger.Kubectl(t, "get", "apikeys", "-n", namespace, "-o", "name"); strings.Contains(left, "/leaving") || strings.Contains(left, "/left") {
		t.Errorf("there are still %s", left)
	}
	if out := claviger.Kubectl(t, "get", "secret", "leaving", "-n", namespace, "--ignore-not-found"); out != "" {
		stack.Eventually(t, func() string {
			return claviger.Kubectl(t, "get", "secret", "leaving", "-n", namespace, "--ignore-not-found")
		})
	}
}

// M4: the key travels as the base64 of itself in Authorization: Basic.
func TestM4Basic(t *testing.T) {
	issue(t)
	basic := func(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }
	if answer := claviger.Auth(t, "", "Authorization", basic(keys["test"])); answer.Status != 200 || answer.Header.Get("X-Claviger-Workspace-Id") != workspace {
		t.Errorf("%d %s %v", answer.Status, answer.Body, answer.Header)
	}
	if answer := claviger.Auth(t, "", "Authorization", basic("not a key")); answer.Status != 401 {
		t.Errorf("not a key: %d %s", answer.Status, answer.Body)
	}
	if answer := claviger.Auth(t, "?scope=workspace.collection:delete", "Authorization", basic(keys["test"])); answer.Status != 403 {
		t.Errorf("a scope that it does not have: %d %s", answer.Status, answer.Body)
	}
}

// M7: a key lives at most half a year, and its end is told in advance.
func TestM7Expiry(t *testing.T) {
	issue(t)
	t.Run("more than half a year is refused", func(t *testing.T) {
		refused(t, fmt.Sprintf(mine, "long", "long", time.Now().Add(200*24*time.Hour).UTC().Format(time.RFC3339), "workspace.result:read"), "spec.expiresAt")
	})
	t.Run("a condition", func(t *testing.T) {
		stack.Eventually(t, func() string {
			got := claviger.Kubectl(t, "get", "apikey", "ending", "-n", namespace, "-o", `jsonpath={.status.conditions[?(@.type=="NearExpiry")]['status','reason']}`)
			if got != "True Within24h" {
				return "the condition is " + got
			}
			return ""
		})
		if got := claviger.Kubectl(t, "get", "apikey", "test", "-n", namespace, "-o", `jsonpath={.status.conditions[?(@.type=="NearExpiry")].status}`); got != "" {
			t.Errorf("a key that ends in 60 days is near its end: %s", got)
		}
	})
	t.Run("an Event", func(t *testing.T) {
		stack.Eventually(t, func() string {
			got := claviger.Kubectl(t, "get", "events.events.k8s.io", "-n", namespace, "-o", `jsonpath={range .items[?(@.regarding.name=="ending")]}{.type} {.reason}{"\n"}{end}`)
			if !strings.Contains(got, "Warning NearExpiry") {
				return "the Events are " + got
			}
			return ""
		})
	})
	t.Run("a metric", func(t *testing.T) {
		stack.Eventually(t, func() string {
			for line := range strings.Lines(operatorMetrics(t)) {
				if strings.HasPrefix(line, "claviger_keys_expiring") && !strings.HasSuffix(line, " 0\n") {
					return ""
				}
			}
			return "the operator counts no key that expires"
		})
	})
}

// refused applies what must not be let in, and looks for what it is told.
func refused(t *testing.T, manifest string, why ...string) {
	t.Helper()
	out, err := claviger.Try(manifest, "apply", "-n", namespace, "-f", "-")
	if err == nil {
		t.Errorf("it was let in: %s", out)
	}
	for _, text := range why {
		if !strings.Contains(out, text) {
			t.Errorf("the refusal does not name %s: %s", text, out)
		}
	}
}
