// Package uninstall removes Claviger, in part and as a whole, and looks what stays: with a real garbage collector, and
// without an operator that could help.
package uninstall

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/test/controlplane"
	"github.com/claviger-dev/claviger/test/process"
)

// patience is for the garbage collector, and for namespaces and CRDs to go.
const patience = 2 * time.Minute

var (
	plane  *controlplane.ControlPlane
	binary string
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "claviger-uninstall-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the tests are over
	if binary = os.Getenv("CLAVIGER_BINARY"); binary == "" {
		binary = filepath.Join(dir, "claviger")
		build := exec.Command("go", "build", "-o", binary, "./cmd/claviger")
		build.Dir = controlplane.RepositoryRoot()
		if out, err := build.CombinedOutput(); err != nil {
			return fail(fmt.Errorf("%w\n%s", err, out))
		}
	}
	if plane, err = controlplane.Start(controlplane.Options{}); err != nil {
		return fail(err)
	}
	defer plane.Stop() //nolint:errcheck // the tests are over
	return m.Run()
}

// try runs kubectl in the repository's root.
func try(stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := plane.RunKubectl(ctx, []byte(stdin), args...)
	return strings.TrimSpace(string(out)), err
}

func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := try("", args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func apply(t *testing.T, namespace, manifests string) {
	t.Helper()
	if out, err := try(manifests, "apply", "-n", namespace, "-f", "-"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func await(t *testing.T, check func() (missing string)) {
	t.Helper()
	var missing string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if missing = check(); missing == "" {
			return
		}
	}
	t.Fatalf("after %v still: %s", patience, missing)
}

const keys = `
apiVersion: keys.claviger.dev/v1alpha1
kind: Workspace
metadata: {name: shop}
---
apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata: {name: goes}
spec: {workspaceRef: {name: shop}}
---
apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata: {name: stays}
spec: {workspaceRef: {name: shop}, delivery: {deletionPolicy: Retain, existing: Adopt}}
`

// install installs what an operator needs, without the webhook, and runs one until stop is called: then it is gone.
func install(t *testing.T) (stop func()) {
	t.Helper()
	for _, args := range [][]string{{"apply", "-f", "config/manager/namespace.yaml"}, {"apply", "--server-side", "--force-conflicts", "-k", "config/crd"}, {"apply", "-k", "config/rbac"}} {
		kubectl(t, args...)
	}
	kubectl(t, "wait", "crd", "--all", "--for=condition=Established", "--timeout=60s")
	dir := t.TempDir()
	config, err := plane.ServiceAccountConfig("claviger-system", "claviger-operator")
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := controlplane.WriteKubeconfig(kubeconfig, config); err != nil {
		t.Fatal(err)
	}
	port, err := controlplane.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	p, err := process.Start(process.Options{
		Name: "operator", Path: binary, Output: io.Discard, OnParentDeath: syscall.SIGKILL,
		Args: []string{"operator", "--kubeconfig=" + kubeconfig, "--leader-elect=false", "--health-bind-address=127.0.0.1:0", "--metrics-bind-address=0",
			"--verifier-url=", "--webhook-host=127.0.0.1", fmt.Sprintf("--webhook-port=%d", port), "--cert-dir=" + filepath.Join(dir, "certs")},
	})
	if err != nil {
		t.Fatal(err)
	}
	stop = func() { p.Kill() } //nolint:errcheck // it is gone
	t.Cleanup(stop)
	return stop
}

// makeKeys applies the keys and waits until they are made.
func makeKeys(t *testing.T, namespace string) {
	t.Helper()
	apply(t, namespace, keys)
	kubectl(t, "wait", "apikeys", "--all", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
}

// leave installs the rest, the webhooks too, as if there were an operator.
func leave(t *testing.T) {
	t.Helper()
	kubectl(t, "apply", "-k", "config/default", "--server-side", "--force-conflicts")
}

func exists(t *testing.T, kind, name, namespace string) bool {
	t.Helper()
	return kubectl(t, "get", kind, name, "-n", namespace, "--ignore-not-found", "-o", "name") != ""
}

// plaintext is what a delivered Secret holds; empty: there is none.
func plaintext(t *testing.T, namespace, name string) string {
	t.Helper()
	return kubectl(t, "get", "secret", name, "-n", namespace, "--ignore-not-found", "-o", "jsonpath={.data.api-key}")
}

// An operator that is gone, and webhooks that were left behind and lead nowhere, keep nobody from deleting
// anything; only what would make or change keys is refused.
func TestDeletingNeverWaitsForAClavigerThatIsGone(t *testing.T) {
	stop := install(t)
	kubectl(t, "create", "namespace", "left-behind")
	makeKeys(t, "left-behind")
	stop()
	leave(t)
	if out, err := try(strings.ReplaceAll(keys, "goes", "new"), "apply", "-n", "left-behind", "-f", "-"); err == nil || !strings.Contains(err.Error(), "webhook") {
		t.Errorf("a key is taken in though nobody checks it: %v\n%s", err, out)
	}
	kubectl(t, "patch", "apikey", "stays", "-n", "left-behind", "--type=merge", "-p", `{"spec":{"state":"Revoked"}}`)
	kubectl(t, "delete", "apikey", "goes", "-n", "left-behind", "--timeout=30s")
	kubectl(t, "delete", "workspace", "shop", "-n", "left-behind", "--timeout=30s")
	await(t, func() string {
		if plaintext(t, "left-behind", "goes") != "" {
			return "the Secret of a deleted key is there"
		}
		return ""
	})
	kubectl(t, "delete", "namespace", "left-behind", "--timeout=90s")
}

// What make undeploy does, and what there is afterwards.
func TestWhatStaysWhenClavigerIsRemovedWhole(t *testing.T) {
	kubectl(t, "delete", "--ignore-not-found", "-k", "config/default", "--timeout=100s")
	stop := install(t)
	kubectl(t, "create", "namespace", "team")
	makeKeys(t, "team")
	stop()
	leave(t)
	stays := plaintext(t, "team", "stays")
	kubectl(t, "delete", "--ignore-not-found", "-k", "config/default", "--timeout=100s")

	await(t, func() string {
		if plaintext(t, "team", "goes") != "" {
			return "the garbage collector leaves the Secret of a key that is gone"
		}
		return ""
	})
	if got := plaintext(t, "team", "stays"); got == "" || got != stays {
		t.Error("a Secret that was to be retained is gone or changed")
	}
	for _, gone := range [][2]string{
		{"crd", "apikeys.keys.claviger.dev"}, {"crd", "workspaces.keys.claviger.dev"}, {"namespace", "claviger-system"},
		{"clusterrole", "claviger-operator"}, {"clusterrole", "claviger-key-admin"}, {"clusterrolebinding", "claviger-operator"},
		{"validatingwebhookconfiguration", "claviger-validating-webhook"}, {"mutatingwebhookconfiguration", "claviger-mutating-webhook"},
	} {
		if exists(t, gone[0], gone[1], "") {
			t.Errorf("%s %s is still there", gone[0], gone[1])
		}
	}

	// Installed again, a retained Secret is adopted, and the key in it is the same.
	install(t)
	makeKeys(t, "team")
	if got := plaintext(t, "team", "stays"); got != stays {
		t.Error("the retained key is another one after Claviger was installed again")
	}
	kubectl(t, "delete", "namespace", "team", "--timeout=90s")
}
