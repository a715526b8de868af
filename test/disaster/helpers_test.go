package disaster

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/claviger-dev/claviger/test/controlplane"
	"github.com/claviger-dev/claviger/test/stack"
)

func newIdentity(t *testing.T) *age.X25519Identity {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

func sealedTo(identity *age.X25519Identity) string {
	return "  delivery: {type: Sealed, recipients: [" + identity.Recipient().String() + "]}"
}

// status reads a field of an ApiKey's status.
func status(t *testing.T, s *stack.Stack, namespace, name, field string) string {
	t.Helper()
	return s.Kubectl(t, "get", "apikey", name, "-n", namespace, "-o", "jsonpath={.status."+field+"}")
}

const readyReason = `conditions[?(@.type=="Ready")].reason`

func awaitStatus(t *testing.T, s *stack.Stack, namespace, name, field, wanted string) {
	t.Helper()
	stack.Eventually(t, func() string {
		if is := status(t, s, namespace, name, field); is != wanted {
			return name + ": " + field + " is " + is + ", not " + wanted
		}
		return ""
	})
}

// unsealed is the plain text of a sealed key.
func unsealed(t *testing.T, s *stack.Stack, namespace, name string, identity age.Identity) string {
	t.Helper()
	plain, err := age.Decrypt(armor.NewReader(strings.NewReader(status(t, s, namespace, name, "sealed.ciphertext"))), identity)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// block is what the guide has to be pasted, after the line `<!-- test: name -->`.
func block(t *testing.T, name string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(controlplane.RepositoryRoot(), "docs", "guides", "disaster.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "<!-- test: "+name+" -->\n```sh\n")
	if !found {
		t.Fatalf("the guide has no block %q", name)
	}
	text, _, _ := strings.Cut(rest, "\n```\n")
	return text + "\n"
}

// paste runs what the guide says, in a directory, against a cluster.
func paste(t *testing.T, s *stack.Stack, dir, script string) {
	t.Helper()
	got := os.Getenv("CLAVIGER_JQ") // by make test, where it is not on the PATH
	_, inPath := exec.LookPath("jq")
	if _, err := exec.LookPath(filepath.Join(got, "jq")); (got == "" || err != nil) && inPath != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(inPath)
		}
		t.Skip("the guide's commands need jq")
	}
	// A function and not an alias, which a shell that is no terminal's does not have.
	command := exec.CommandContext(t.Context(), "sh", "-ec", `. "$STATE/env"; kubectl() { "$KUBECTL" "$@"; }`+"\n"+script)
	command.Dir, command.Env = dir, append(os.Environ(), "STATE="+s.Dir, "PATH="+os.Getenv("PATH")+string(os.PathListSeparator)+got)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, script, out)
	}
}
