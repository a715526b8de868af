package outage

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/claviger-dev/claviger/test/controlplane"
	"github.com/claviger-dev/claviger/test/process"
)

// program is a `claviger verifier`, which can be started again over the same files.
type program struct {
	*process.Process
	binary, address string
	arguments       []string
	client          *http.Client
}

// clients ask at the same time.
const clients = 4

func newProgram(t *testing.T, apiServer *cable) *program {
	t.Helper()
	dir := t.TempDir()
	p := &program{
		binary: filepath.Join(dir, "claviger"),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}},
	}
	build := exec.Command("go", "build", "-o", p.binary, "./cmd/claviger")
	build.Dir = controlplane.RepositoryRoot()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	config, err := plane.ServiceAccountConfig(systemNamespace, "claviger-verifier")
	if err != nil {
		t.Fatal(err)
	}
	config.Host = "https://" + apiServer.address
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := controlplane.WriteKubeconfig(kubeconfig, config); err != nil {
		t.Fatal(err)
	}
	port, err := controlplane.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	p.address = fmt.Sprintf("127.0.0.1:%d", port)
	p.arguments = []string{
		"verifier", "--kubeconfig=" + kubeconfig, "--listen=" + p.address, "--extauthz-listen=", "--admin-listen=127.0.0.1:0",
		"--cert-dir=" + dir, "--usage-db=" + filepath.Join(dir, "usage.db"), "--snapshot-dir=" + filepath.Join(dir, "snapshot"),
	}
	return p
}

// start returns when the program is ready, with the text that says so.
func (p *program) start(t *testing.T) (ready string) {
	t.Helper()
	var err error
	p.Process, err = process.Start(process.Options{
		Name: "claviger verifier", Path: p.binary, Args: p.arguments, Output: t.Output(), OnParentDeath: syscall.SIGKILL,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill() })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err = p.WaitReady(ctx, func(context.Context) error {
		status, body, err := p.ask("/readyz", "")
		if ready = body; err == nil && status != http.StatusOK {
			err = fmt.Errorf("it answers %d: %s", status, body)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ready
}

func (p *program) ask(path, key string) (status int, body string, err error) {
	request, err := http.NewRequest(http.MethodGet, "http://"+p.address+path, nil)
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("X-API-Key", key)
	response, err := p.client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

// awaitStatus waits until a key is answered so.
func (p *program) awaitStatus(t *testing.T, key string, want int) {
	t.Helper()
	await(t, func() string {
		status, body, err := p.ask("/v1/auth", key)
		if err != nil {
			return err.Error()
		}
		if status != want {
			return fmt.Sprintf("%d %s, want %d", status, body, want)
		}
		return ""
	})
}

// load asks about keys that must work, from several clients, until it is told to end.
type load struct {
	asked   atomic.Int64
	mu      sync.Mutex
	refused []string
	end     func()
}

func (p *program) load(t *testing.T, keys ...string) *load {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	l := &load{end: func() { cancel(); running.Wait() }}
	for range clients {
		running.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				status, body, err := p.ask("/v1/auth", keys[i%len(keys)])
				l.asked.Add(1)
				if err != nil || status != http.StatusOK {
					l.mu.Lock()
					l.refused = append(l.refused, fmt.Sprint(status, body, err))
					l.mu.Unlock()
				}
			}
		})
	}
	t.Cleanup(l.end)
	return l
}

// more waits until so many more requests were answered, all as they must be.
func (l *load) more(t *testing.T, requests int64) {
	t.Helper()
	until := l.asked.Load() + requests
	await(t, func() string {
		if asked := l.asked.Load(); asked < until {
			return fmt.Sprintf("%d requests of %d", asked, until)
		}
		return ""
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.refused) > 0 {
		t.Fatalf("of %d valid requests %d were not let through, such as: %s", l.asked.Load(), len(l.refused), l.refused[0])
	}
}
