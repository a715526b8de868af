package stack

import (
	"encoding/base64"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// patience is how long a test waits for what must come. It is no measure of speed: a
// machine that runs everything at once may be slow.
const patience = 90 * time.Second

// Try runs kubectl as the administrator and returns all that it printed.
func (s *Stack) Try(stdin string, arguments ...string) (string, error) {
	command := exec.Command(s.kubectl, arguments...)
	command.Env = append(os.Environ(), "KUBECONFIG="+s.kubeconfig)
	command.Stdin = strings.NewReader(stdin)
	out, err := command.CombinedOutput()
	return string(out), err
}

// Kubectl runs kubectl as the administrator; that it fails fails the test.
func (s *Stack) Kubectl(t testing.TB, arguments ...string) string {
	t.Helper()
	out, err := s.Try("", arguments...)
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
	return out
}

// Apply applies manifests to a namespace; that it fails fails the test.
func (s *Stack) Apply(t testing.TB, namespace, manifests string) {
	t.Helper()
	if out, err := s.Try(manifests, "apply", "-n", namespace, "-f", "-"); err != nil {
		t.Fatalf("kubectl apply: %v\n%s", err, out)
	}
}

// Namespace makes a namespace for a test, deleted when it ends.
func (s *Stack) Namespace(t testing.TB, name string) string {
	t.Helper()
	s.Kubectl(t, "create", "namespace", name)
	t.Cleanup(func() { s.Try("", "delete", "namespace", name, "--wait=false") }) //nolint:errcheck // the stack ends anyway
	return name
}

// AwaitKey waits until ApiKeys are Ready.
func (s *Stack) AwaitKey(t testing.TB, namespace string, names ...string) {
	t.Helper()
	for _, name := range names {
		s.Kubectl(t, "wait", "-n", namespace, "--for=condition=Ready", "apikey/"+name, "--timeout="+patience.String())
	}
}

// Key reads a key out of its Secret, as a person would.
func (s *Stack) Key(t testing.TB, namespace, secret string) string {
	t.Helper()
	encoded := s.Kubectl(t, "get", "secret", secret, "-n", namespace, "-o", "jsonpath={.data.api-key}")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatalf("the data of Secret %s is not base64: %v", secret, err)
	}
	return string(key)
}

// Eventually repeats a check until it returns the empty string; what it returned last fails the test.
func Eventually(t testing.TB, check func() (missing string)) {
	t.Helper()
	var missing string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if missing = check(); missing == "" {
			return
		}
	}
	t.Fatalf("after %v still: %s", patience, missing)
}
