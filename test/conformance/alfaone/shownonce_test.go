package alfaone

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/claviger-dev/claviger/test/controlplane"
)

const sealed = `
apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata: {name: sealed}
spec:
  workspaceRef: {name: acme}
  displayName: Shown once
  delivery: {type: Sealed, recipients: [%s]}
`

// F3: a key is shown once, to whoever asked for it, and is nowhere afterwards.
func TestF3ShownOnce(t *testing.T) {
	issue(t)
	if !kept(t, keys["development"]) || !listed(t, keys["development"]) {
		t.Fatal("a key in a Secret is not found, so that not finding another one shows nothing")
	}
	t.Run("sealed to its recipient", func(t *testing.T) {
		identity, err := age.GenerateX25519Identity()
		if err != nil {
			t.Fatal(err)
		}
		claviger.Apply(t, namespace, fmt.Sprintf(sealed, identity.Recipient()))
		claviger.AwaitKey(t, namespace, "sealed")
		ciphertext := claviger.Kubectl(t, "get", "apikey", "sealed", "-n", namespace, "-o", "jsonpath={.status.sealed.ciphertext}")
		plain, err := age.Decrypt(armor.NewReader(strings.NewReader(ciphertext)), identity)
		if err != nil {
			t.Fatal(err)
		}
		key, err := io.ReadAll(plain)
		if err != nil {
			t.Fatal(err)
		}
		isNowhere(t, string(key))
	})
	t.Run("by kubectl claviger create", func(t *testing.T) {
		dir := t.TempDir()
		build := exec.Command("go", "build", "-o", filepath.Join(dir, "kubectl-claviger"), "./cmd/kubectl-claviger")
		build.Dir = controlplane.RepositoryRoot()
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("building the plugin: %v\n%s", err, out)
		}
		t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
		out := claviger.Kubectl(t, "claviger", "create", "handed-over", "-n", namespace, "--workspace=acme", "--scope=assessments:read", "--display-name=Handed over")
		shown := regexp.MustCompile(`ak_live_[0-9A-Za-z]{32}`).FindAllString(out, -1)
		if len(shown) != 1 {
			t.Fatalf("the key is shown %d times", len(shown))
		}
		isNowhere(t, shown[0])
	})
}

// isNowhere looks for a key that works: in all objects, in etcd's files and in the logs.
func isNowhere(t *testing.T, key string) {
	t.Helper()
	claviger.AwaitVerifier(t, key)
	if got := claviger.Verify(t, key); !got.Valid {
		t.Errorf("the key is answered %+v", got)
	}
	if listed(t, key) {
		t.Error("an object shows the key")
	}
	if kept(t, key) {
		t.Error("a file has the key")
	}
}

// listed says whether any object of the namespace, or of the operator's, shows a key, plain or as Secrets do.
func listed(t *testing.T, key string) bool {
	t.Helper()
	kinds := strings.Fields(claviger.Kubectl(t, "api-resources", "--namespaced", "--verbs=list", "-o", "name"))
	for _, ns := range []string{namespace, "claviger-system"} {
		text := claviger.Kubectl(t, "get", strings.Join(kinds, ","), "-n", ns, "-o", "json")
		if strings.Contains(text, key) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(key))) {
			return true
		}
	}
	return false
}

// kept says whether any file of the control plane has a key: etcd's log holds all that was ever written.
func kept(t *testing.T, key string) (found bool) {
	t.Helper()
	err := filepath.WalkDir(claviger.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || found || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil // a temporary one
		}
		found = found || bytes.Contains(text, []byte(key)) || bytes.Contains(text, []byte(base64.StdEncoding.EncodeToString([]byte(key))))
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return found
}
