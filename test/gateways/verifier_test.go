package gateways

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/token"
	"github.com/claviger-dev/claviger/test/controlplane"
	"github.com/claviger-dev/claviger/test/process"
)

// The names of the keys in testdata. Each but limited may be used as often as one likes.
const (
	keyGood      = "good"      // orders:read
	keyBare      = "bare"      // no scopes at all
	keyReports   = "reports"   // reports:read
	keyExpired   = "expired"   //
	keyRevoked   = "revoked"   //
	keyDisabled  = "disabled"  //
	keySuspended = "suspended" // of a workspace that is
	keyAccount   = "account"   // of a service account that is suspended
	keyNear      = "near"      // may be used from clientAddress only
	keyFar       = "far"       // may be used from farAddress only
	keyLimited   = "limited"   // one request an hour
)

// clientAddress is where requests come from; gateways and the verifier are at 127.0.0.1, so
// that nobody takes the client for a trusted proxy.
const (
	clientAddress = "127.0.0.2"
	farAddress    = "192.0.2.7"
)

// binary is the program that is tested: of make test, or built here.
var binary = os.Getenv("CLAVIGER_BINARY")

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if binary == "" {
		dir, err := os.MkdirTemp("", "claviger-gateways-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "claviger")
		build := exec.Command("go", "build", "-o", binary, "./cmd/claviger")
		build.Dir = controlplane.RepositoryRoot()
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building claviger: %v\n%s", err, out)
			return 1
		}
	}
	return m.Run()
}

// verifier is `claviger verifier` with the keys of testdata, as the guides have readers start it.
type verifier struct {
	address     string // host:port of the HTTP doors
	grpcAddress string // of the door for Envoy
	keys        map[string]string
	log         lockedBuffer
	process     *process.Process
}

func startVerifier(t *testing.T) *verifier {
	t.Helper()
	v := &verifier{address: freeAddress(t), grpcAddress: freeAddress(t), keys: map[string]string{}}
	dir := t.TempDir()
	declared, err := os.ReadFile(filepath.Join("testdata", "keys.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "keys.yaml", string(declared))
	write(t, dir, "secrets.yaml", v.issue(t, string(declared)))
	v.process, err = process.Start(process.Options{
		Name: "claviger verifier", Path: binary, Output: &v.log, OnParentDeath: syscall.SIGKILL,
		Args: []string{
			"verifier", "--manifests", dir, "--listen", v.address, "--extauthz-listen", v.grpcAddress,
			"--trusted-proxies", "127.0.0.1", "--log-level", "127",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		v.process.Kill()
		if t.Failed() {
			t.Logf("the verifier logged:\n%s", &v.log)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := v.process.WaitReady(ctx, v.isReady); err != nil {
		t.Fatal(err)
	}
	return v
}

// issue makes a key for each ApiKey, and the Secret that delivers it.
func (v *verifier) issue(t *testing.T, declared string) string {
	t.Helper()
	var secrets strings.Builder
	for _, document := range strings.Split(declared, "\n---\n") {
		var object v1alpha1.ApiKey
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatal(err)
		}
		if object.Kind != "ApiKey" {
			continue
		}
		key, err := token.New("ak", "live")
		if err != nil {
			t.Fatal(err)
		}
		v.keys[object.Name] = key.Reveal()
		fmt.Fprintf(&secrets, "apiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: %s}\nstringData: {api-key: %s}\n---\n",
			object.Name, object.Namespace, key.Reveal())
	}
	return secrets.String()
}

func (v *verifier) isReady(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+v.address+"/readyz", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz answers with status %d", answer.StatusCode)
	}
	return nil
}

// stall keeps the verifier from answering, and from closing what is open, until it is resumed.
func (v *verifier) stall(t *testing.T) (resume func()) {
	t.Helper()
	if err := syscall.Kill(v.process.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// Each thread stops when it gets to it.
	for deadline := time.Now().Add(patience); !v.stopped(t); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the verifier does not stop")
		}
	}
	return func() { syscall.Kill(v.process.PID(), syscall.SIGCONT) }
}

func (v *verifier) stopped(t *testing.T) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", v.process.PID()))
	if err != nil || len(threads) == 0 {
		t.Fatalf("the verifier's threads are not in /proc: %v", err)
	}
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		if err == nil && !strings.Contains(string(stat), ") T ") {
			return false
		}
	}
	return true
}

func freeAddress(t *testing.T) string {
	t.Helper()
	port, err := controlplane.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}
