// Package durability does to a verifier under load, and to its usage store, what happens to processes, and counts what was
// sent against what is stored.
package durability

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/test/controlplane"
	"github.com/claviger-dev/claviger/test/process"
)

const patience = time.Minute

// The key that everybody knows, see examples/edge.
const key = "ak_test_PublishedDemoKeyDoNotUseIt07q7PL"

const manifests = `
apiVersion: keys.claviger.dev/v1alpha1
kind: Workspace
metadata: {name: shop}
spec:
  usage:
    requestLog: {retention: 720h}
---
apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata: {name: demo}
spec:
  workspaceRef: {name: shop}
  environment: test
---
apiVersion: v1
kind: Secret
metadata: {name: demo}
stringData:
  api-key: ` + key + `
`

// verifier is a `claviger verifier` that can be started again over the same files.
type verifier struct {
	*process.Process
	binary, dir, url string
	arguments        []string
	client           *http.Client
}

func start(t *testing.T, arguments ...string) *verifier {
	t.Helper()
	v := &verifier{dir: t.TempDir(), arguments: arguments, client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: clients}}}
	if v.binary = os.Getenv("CLAVIGER_BINARY"); v.binary == "" {
		v.binary = filepath.Join(v.dir, "claviger")
		build := exec.Command("go", "build", "-o", v.binary, "./cmd/claviger")
		build.Dir = controlplane.RepositoryRoot()
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if err := os.Mkdir(filepath.Join(v.dir, "manifests"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(v.dir, "manifests", "shop.yaml"), []byte(manifests), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Kill() }) //nolint:errcheck // most tests ended it
	v.restart(t)
	return v
}

func (v *verifier) restart(t *testing.T) {
	t.Helper()
	port, err := controlplane.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	v.url = "http://" + address
	v.Process, err = process.Start(process.Options{
		Name: "claviger verifier", Path: v.binary, Output: t.Output(), OnParentDeath: syscall.SIGKILL,
		Args: append([]string{"verifier", "--manifests=" + filepath.Join(v.dir, "manifests"), "--listen=" + address, "--usage-db=" + filepath.Join(v.dir, "usage.db")}, v.arguments...),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := v.WaitReady(ctx, func(context.Context) error {
		_, err := v.get("/readyz", nil)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// get asks, and reads the answer where there is somewhere to.
func (v *verifier) get(path string, into any) (status int, err error) {
	request, err := http.NewRequest(http.MethodGet, v.url+path, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("X-API-Key", key)
	return v.do(request, into)
}

func (v *verifier) post(path string, body map[string]any, into any) (status int, err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	request, err := http.NewRequest(http.MethodPost, v.url+path, bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	return v.do(request, into)
}

func (v *verifier) do(request *http.Request, into any) (status int, err error) {
	response, err := v.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return response.StatusCode, fmt.Errorf("%s was answered with %s", request.URL.Path, response.Status)
	}
	if into == nil {
		return response.StatusCode, nil
	}
	return response.StatusCode, json.NewDecoder(response.Body).Decode(into)
}

const clients = 8

// spend is what each request is reported to have cost.
const spend = 7

// load is requests, one after the other by several clients, each verified and then reported.
type load struct {
	sent, allowed, reported, acknowledged atomic.Int64
	stop                                  chan struct{}
	running                               sync.WaitGroup
}

func (v *verifier) load(prefix string) *load {
	l := &load{stop: make(chan struct{})}
	for c := range clients {
		l.running.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-l.stop:
					return
				default:
				}
				v.once(l, fmt.Sprintf("%s-%d-%d", prefix, c, i))
			}
		})
	}
	return l
}

// once verifies and reports. What was sent and not answered may have been counted.
func (v *verifier) once(l *load, id string) {
	var decision struct{ Key struct{ ID string } }
	l.sent.Add(1)
	if _, err := v.post("/v1/verify", map[string]any{"key": key}, &decision); err != nil {
		time.Sleep(10 * time.Millisecond)
		return
	}
	l.allowed.Add(1)
	l.reported.Add(1)
	if _, err := v.post("/v1/usage", map[string]any{"requestId": id, "keyId": decision.Key.ID, "outcome": "success", "spendMicrocents": spend}, nil); err == nil {
		l.acknowledged.Add(1)
	}
}

func (l *load) end() {
	close(l.stop)
	l.running.Wait()
}

// stored is what the verifier tells that it has stored.
type stored struct {
	Requests, Succeeded, SpendMicrocents int64
}

// settled asks until what is stored changes no more, and is enough.
func (v *verifier) settled(t *testing.T, enough func(stored) bool) (got stored) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		var now stored
		_, err := v.get("/v1/api-keys/self/usage", &now)
		if err == nil && enough(now) {
			return now
		}
		if got = now; time.Now().After(deadline) {
			t.Fatalf("stored is %+v, %v", got, err)
		}
	}
}

// lines is what the log has of one status.
func (v *verifier) lines(t *testing.T, status string) int64 {
	t.Helper()
	var page struct{ Total int64 }
	if _, err := v.get("/v1/api-keys/self/usage/requests?status="+status+"&page_size=1", &page); err != nil {
		t.Fatal(err)
	}
	return page.Total
}

// pending are the files of the journal, but for its lock.
func (v *verifier) pending(t *testing.T) (files []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(v.dir, "usage.db.pending"), func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && !strings.HasSuffix(path, ".lock") {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
