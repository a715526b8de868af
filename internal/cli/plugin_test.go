package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/claviger-dev/claviger/internal/token"
)

func execute(t *testing.T, name, stdin string, args ...string) (out, errOut string, code int) {
	t.Helper()
	// Whatever is configured where the tests run is not asked.
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	var o, e bytes.Buffer
	code = Main(t.Context(), append([]string{name}, args...), genericiooptions.IOStreams{In: strings.NewReader(stdin), Out: &o, ErrOut: &e}, "v1.2.3")
	return o.String(), e.String(), code
}

func TestWhatNeedsNoClusterNeedsNone(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"version"}, "kubectl-claviger v1.2.3\n"},
		{[]string{"completion", "bash"}, "__start_kubectl-claviger"},
		{[]string{"create", "x", "--workspace", "w", "--dry-run=client", "-o", "json"}, `"name": "w"`},
		{[]string{"create", "x", "--workspace", "w", "--dry-run", "-o", "name"}, "apikey.keys.claviger.dev/x"},
		{[]string{"create", "x", "--workspace", "w", "--dry-run=client", "-n", "team", "-o", "jsonpath={.metadata.namespace}"}, "team"},
		{[]string{"help", "verify"}, "kubectl claviger verify"},
	} {
		out, errOut, code := execute(t, "kubectl-claviger", "", c.args...)
		if code != 0 || !strings.Contains(out, c.want) {
			t.Errorf("%v: %d, %s%s", c.args, code, out, errOut)
		}
	}
}

func TestTheManifestOfAKey(t *testing.T) {
	out, _, _ := execute(t, "kubectl-claviger", "", "create", "checkout", "--workspace", "shop", "--scope", "orders:read, orders:create", "--expires-at", "2027-01-31",
		"--display-name", "Checkout", "--environment", "test", "--prefix", "shop", "--service-account", "robot", "--entity", "Agent/a-1", "--rotate-every", "90m", "--overlap", "1h30s",
		"--label", "team=payments", "--recipient", "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p", "--dry-run=client", "-o", "yaml")
	const want = `apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata:
  labels:
    team: payments
  name: checkout
spec:
  delivery:
    recipients:
    - age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p
    type: Sealed
  displayName: Checkout
  entity:
    id: a-1
    kind: Agent
  environment: test
  expiresAt: "2027-01-31T00:00:00Z"
  prefix: shop
  rotation:
    every: 1h30m
    overlap: 1h0m30s
  scopes:
  - orders:read
  - orders:create
  serviceAccountRef:
    name: robot
  workspaceRef:
    name: shop
`
	if out != want {
		t.Errorf("got\n%s", out)
	}
}

func TestFlagsThatContradictAreRefused(t *testing.T) {
	for _, c := range []struct {
		args, want string
	}{
		{"create x", "--workspace is missing"},
		{"create x --workspace w --ttl 1h --expires-at 2027-01-31", "not both"},
		{"create x --workspace w --expires-at soon --dry-run", "such as 2027-01-31"},
		{"create x --workspace w --entity robot --dry-run", "KIND/ID"},
		{"create x --workspace w --dry-run=maybe", "none, client or server"},
		{"create x --workspace w -o yaml", "-o goes with --dry-run"},
		{"create x --workspace w --delivery sealed --dry-run", "without --recipient"},
		{"create x --workspace w --delivery secret --recipient age1x", "leave out --delivery secret"},
		{"create x --workspace w --delivery pigeon", "secret or sealed"},
		{"create x --workspace w --ttl -1h", "not negative"},
		{"revoke", "name one ApiKey"},
		{"revoke x", "--reason is missing"},
		{"revoke x --leaked", "leave out the name"},
		{"usage", "name one ApiKey, workspace/NAME or serviceaccount/NAME, or one --workspace"},
		{"lint -o xml .", "json or github"},
		{"list -l a=b=c", "a selector such as"},
	} {
		_, errOut, code := execute(t, "kubectl-claviger", "", strings.Fields(c.args)...)
		if code != ExitNo || !strings.Contains(errOut, c.want) {
			t.Errorf("%s: %d, %s", c.args, code, errOut)
		}
	}
}

// kubectl runs another program to complete for a plugin. A link of that name to this one is enough.
func TestAsKubectlsCompleterItCompletes(t *testing.T) {
	out, _, code := execute(t, "/usr/bin/"+CompletionName, "", "revo")
	if code != 0 || !strings.HasPrefix(out, "revoke\t") {
		t.Errorf("%d, %s", code, out)
	}
}

func TestWhatIsNoKeyIsNotReadAsOne(t *testing.T) {
	for name, stdin := range map[string]string{"nothing": "", "only spaces": " \n\t", "two lines": "a\nb\n", "too much": strings.Repeat("a", maxKey+1)} {
		_, errOut, code := execute(t, "kubectl-claviger", stdin, "verify", "--verifier-url", "http://127.0.0.1:1")
		if code != ExitUnasked || strings.Contains(errOut, "does not answer") {
			t.Errorf("%s: %d, %s", name, code, errOut)
		}
	}
}

// Whatever flag somebody adds, none is for a key.
func TestNoFlagTakesAKey(t *testing.T) {
	p := &Plugin{IOStreams: genericiooptions.NewTestIOStreamsDiscard()}
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, name := range []string{"key", "api-key", "secret", "identity", "password"} {
			if cmd.Flags().Lookup(name) != nil {
				t.Errorf("%s has a flag --%s", cmd.CommandPath(), name)
			}
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(p.command())
}

func TestAKeyOnTheCommandLineIsRefusedBeforeAnythingElse(t *testing.T) {
	key, err := token.New("ak", "live")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{key.Reveal()}, {"verify", "--nonsense", key.Reveal()}, {"lint", "-o=" + key.Reveal()}} {
		out, errOut, code := execute(t, "kubectl-claviger", "", args...)
		if code != ExitNo || strings.Contains(out+errOut, key.Reveal()) || !strings.Contains(errOut, "standard input") {
			t.Errorf("%d, %s", code, errOut)
		}
	}
}

func TestLintMasksWhatLooksLikeAKey(t *testing.T) {
	key, err := token.New("ak", "live")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "x.yaml")
	text := "apiVersion: keys.claviger.dev/v1alpha1\nkind: ApiKey\nmetadata: {name: x}\nspec: {workspaceRef: {name: w}, environment: " + key.Reveal() + "}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, output := range []string{"", "json", "github"} {
		out, errOut, code := execute(t, "kubectl-claviger", "", "lint", "-o", output, file)
		if code != ExitNo || strings.Contains(out+errOut, key.Reveal()) || !strings.Contains(out, "spec.environment") {
			t.Errorf("%q: %d, %s%s", output, code, out, errOut)
		}
	}
}
