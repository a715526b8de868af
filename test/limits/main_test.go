// Package limits holds verifiers, as processes, to their limits: over restarts, and several on one real Valkey or Redis.
package limits

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/token"
	"github.com/claviger-dev/claviger/test/controlplane"
	"github.com/claviger-dev/claviger/test/process"
)

// patience is for what other processes have to do first.
const patience = 30 * time.Second

var binary = os.Getenv("CLAVIGER_BINARY")

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if binary == "" {
		dir, err := os.MkdirTemp("", "claviger-limits-")
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

// tenant is a directory of manifests with two keys, each of which has a limit that is to be filled in.
type tenant struct {
	dir, key, other string
}

func newTenant(t *testing.T, limit string) *tenant {
	t.Helper()
	tn := &tenant{dir: t.TempDir(), key: newKey(t), other: newKey(t)}
	tn.write(t, "tenant.yaml", `
apiVersion: keys.claviger.dev/v1alpha1
kind: Workspace
metadata: {name: shop}
---
apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata: {name: k}
spec:
  workspaceRef: {name: shop}
  limitRefs: [{name: l}]
---
apiVersion: v1
kind: Secret
metadata: {name: k}
stringData: {api-key: `+tn.key+`}
---
apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata: {name: other}
spec:
  workspaceRef: {name: shop}
  limitRefs: [{name: l}]
---
apiVersion: v1
kind: Secret
metadata: {name: other}
stringData: {api-key: `+tn.other+`}
`)
	tn.limit(t, limit)
	return tn
}

func newKey(t *testing.T) string {
	t.Helper()
	key, err := token.New("ak", "live")
	if err != nil {
		t.Fatal(err)
	}
	return key.Reveal()
}

func (tn *tenant) limit(t *testing.T, spec string) {
	t.Helper()
	tn.write(t, "limit.yaml", "apiVersion: keys.claviger.dev/v1alpha1\nkind: KeyLimit\nmetadata: {name: l}\nspec: "+spec+"\n")
}

func (tn *tenant) write(t *testing.T, name, text string) {
	t.Helper()
	// Never half of it is seen.
	path := filepath.Join(tn.dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// verifier is `claviger verifier` as a process.
type verifier struct {
	address, metrics string
	process          *process.Process
	args             []string
	log              lockedBuffer
}

type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

func startVerifier(t *testing.T, tn *tenant, more ...string) *verifier {
	t.Helper()
	v := &verifier{address: freeAddress(t), metrics: freeAddress(t)}
	v.args = append([]string{"verifier", "--manifests", tn.dir, "--listen", v.address, "--admin-listen", v.metrics}, more...)
	v.start(t)
	t.Cleanup(func() {
		v.process.Kill()
		if log := v.log.String(); t.Failed() || strings.Contains(log, "panic") {
			t.Logf("a verifier logged:\n%s", log)
		}
	})
	return v
}

func (v *verifier) start(t *testing.T) {
	t.Helper()
	var err error
	v.process, err = process.Start(process.Options{
		Name: "claviger verifier", Path: binary, Args: v.args, Output: &v.log, OnParentDeath: syscall.SIGKILL,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := v.process.WaitReady(ctx, func(context.Context) error {
		response, err := client.Get("http://" + v.address + "/readyz")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("/readyz says %s", response.Status)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// client gives a request that is stuck up, which fails the test.
var client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

type decision struct {
	Code      string `json:"code"`
	Status    int    `json:"status"`
	RequestID string `json:"requestId"`
	Key       struct {
		ID string `json:"id"`
	} `json:"key"`
	Limits []struct {
		Limit     int64 `json:"limit"`
		Remaining int64 `json:"remaining"`
	} `json:"limits"`
}

// scope tells how a key's limits stand, and takes nothing.
func (v *verifier) scope(key string) (d decision, err error) {
	request, err := http.NewRequest(http.MethodGet, "http://"+v.address+"/v1/scope", nil)
	if err != nil {
		return d, err
	}
	request.Header.Set("X-API-Key", key)
	response, err := client.Do(request)
	if err != nil {
		return d, err
	}
	defer response.Body.Close()
	return d, json.NewDecoder(response.Body).Decode(&d)
}

func (v *verifier) verify(key string) (decision, error) {
	return v.post("/v1/verify", `{"key":"`+key+`"}`)
}

func (v *verifier) post(path, body string) (d decision, err error) {
	response, err := client.Post("http://"+v.address+path, "application/json", strings.NewReader(body))
	if err != nil {
		return d, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return d, err
	}
	if response.StatusCode != http.StatusOK {
		return d, fmt.Errorf("%s %s", response.Status, text)
	}
	return d, json.Unmarshal(text, &d)
}

// metric reads a metric without labels.
func (v *verifier) metric(t *testing.T, name string) string {
	t.Helper()
	response, err := client.Get("http://" + v.metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("there is no metric %s", name)
	return ""
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// hammer asks all verifiers again and again, from several clients each, until stop says so, and counts the answers by
// their code. It fails the test where one is no answer.
func hammer(t *testing.T, verifiers []*verifier, key string, stop func(counts map[string]int) bool) map[string]int {
	t.Helper()
	var (
		mu      sync.Mutex
		counts  = map[string]int{}
		clients sync.WaitGroup
		ended   = make(chan struct{})
		end     sync.Once
	)
	for _, v := range verifiers {
		for range 4 {
			clients.Go(func() {
				for {
					select {
					case <-ended:
						return
					default:
					}
					d, err := v.verify(key)
					mu.Lock()
					if err != nil {
						t.Errorf("a request was not answered: %v", err)
						end.Do(func() { close(ended) })
					}
					counts[d.Code]++
					if stop(counts) {
						end.Do(func() { close(ended) })
					}
					mu.Unlock()
				}
			})
		}
	}
	clients.Wait()
	return counts
}
