// Package pasted runs what docs/kubectl.md says, as somebody would who pastes it into a shell: kubectl, which finds the
// plugin, and the very processes that make run starts.
package pasted

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claviger-dev/claviger/internal/token"
	"github.com/claviger-dev/claviger/test/controlplane"
	"github.com/claviger-dev/claviger/test/stack"
)

var (
	claviger *stack.Stack
	// bin holds the plugin.
	bin string
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if bin, err = os.MkdirTemp("", "claviger-plugin-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(bin)
	build := exec.Command("go", "build", "-o", filepath.Join(bin, "kubectl-claviger"), "./cmd/kubectl-claviger")
	build.Dir = controlplane.RepositoryRoot()
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the plugin: %v\n%s", err, out)
		return 1
	}
	return stack.Run(m, func(s *stack.Stack) { claviger = s })
}

// shell runs a script in a directory, with a kubectl that knows the cluster and the plugin, and returns what it wrote.
func shell(t *testing.T, dir, script string) (out, errOut string, err error) {
	t.Helper()
	// A function and not an alias, which a shell that is no terminal's does not have.
	prelude := `. "$STATE/env"; export CLAVIGER_VERIFIER_URL=$VERIFIER_URL; kubectl() { "$KUBECTL" "$@"; }; ` + "\n"
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", prelude+script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "STATE="+claviger.Dir, "PATH="+bin+":"+os.Getenv("PATH"))
	var o, e strings.Builder
	cmd.Stdout, cmd.Stderr = &o, &e
	err = cmd.Run()
	return o.String(), e.String(), err
}

// blocks are what the page has to be pasted.
func blocks(t *testing.T) (all []string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(controlplane.RepositoryRoot(), "docs", "kubectl.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(page), "```sh\n")[1:] {
		block, _, _ := strings.Cut(part, "```")
		all = append(all, block)
	}
	return all
}

// elsewhere are the blocks that are about a shell, or a network, that there is not here.
var elsewhere = []string{"make build", ". .local/env", "ln -sf", "port-forward"}

func TestWhatThePageSaysWorksWhenItIsPasted(t *testing.T) {
	root := controlplane.RepositoryRoot()
	claviger.Kubectl(t, "apply", "-k", filepath.Join(root, "config", "samples"))
	claviger.AwaitKey(t, "default", "checkout", "scanner")
	dir := t.TempDir()
	for _, block := range blocks(t) {
		first, _, _ := strings.Cut(block, "\n")
		t.Run(first, func(t *testing.T) {
			for _, word := range elsewhere {
				if strings.Contains(block, word) {
					t.Skip("it is about a shell, or a network, that there is not here")
				}
			}
			block = strings.ReplaceAll(block, "config/samples", filepath.Join(root, "config", "samples"))
			switch {
			case strings.Contains(block, "report-leak"):
				// Somebody found this one.
				block = "kubectl get secret mounted -o jsonpath='{.data.api-key}' | base64 -d > found.txt\n" + block
			case strings.Contains(block, "renew"):
				// Whoever pastes has read the text meanwhile.
				block = strings.Replace(block, "kubectl claviger renew", "kubectl wait ksa/warehouse --for=jsonpath='{.status.token.keyID}' --timeout=60s\nkubectl claviger renew", 1)
			}
			// As in one shell, what a block has set the next one knows.
			out, errOut, err := shell(t, dir, "[ ! -f vars ] || . ./vars\n"+block+"\nprintf 'KEY=%s\\n' \"$KEY\" > vars\n")
			if err != nil {
				t.Fatalf("%v\n%s\n%s\n%s", err, block, out, errOut)
			}
		})
	}
}

func TestASealedKeyWorksAndALeakEndsIt(t *testing.T) {
	ns := claviger.Namespace(t, "pasted")
	claviger.Apply(t, ns, "apiVersion: keys.claviger.dev/v1alpha1\nkind: Workspace\nmetadata: {name: shop}\n")
	key := func(script string) string {
		t.Helper()
		out, errOut, err := shell(t, ".", script)
		text := strings.TrimSuffix(out, "\n")
		if _, parse := token.Parse(text); err != nil || parse != nil || strings.Contains(errOut, text) {
			t.Fatalf("%s: %v, %v\n%s", script, err, parse, errOut)
		}
		return text
	}
	first := key("kubectl claviger -n pasted create one --workspace shop --scope a:b --overlap 1h")
	claviger.AwaitVerifier(t, first)
	second := key("kubectl claviger -n pasted rotate one --new-identity")
	claviger.AwaitVerifier(t, second)
	// Both work during the overlap.
	for _, k := range []string{first, second} {
		if code := claviger.Verify(t, k).Code; code != "VALID" {
			t.Errorf("during the overlap: %s", code)
		}
	}
	out, errOut, err := shell(t, ".", "printf %s \""+second+"\" | kubectl claviger report-leak --reason 'in a test'")
	if err != nil || strings.Contains(out+errOut, second) {
		t.Fatalf("%v\n%s", err, errOut)
	}
	if code := claviger.Verify(t, second).Code; code != "KEY_REVOKED" {
		t.Errorf("after the leak was reported: %s", code)
	}
	// The one before ends with it, and may be forgotten at once.
	if decision := claviger.Verify(t, first); decision.Valid {
		t.Error("the key before works on after the leak was reported")
	}
	if out, errOut, err = shell(t, ".", "kubectl claviger -n pasted explain one"); err != nil || !strings.Contains(out, `for the reason "Leaked: in a test"`) {
		t.Errorf("%v\n%s%s", err, out, errOut)
	}
	if logs, err := claviger.Logs(); err != nil || strings.Contains(logs, first) || strings.Contains(logs, second) {
		t.Errorf("a key is in the logs, or they cannot be read: %v", err)
	}
}
