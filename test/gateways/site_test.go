// Package gateways puts real gateways, configured by the very text of docs/guides, between a
// client and a service, and asks the same of all of them.
package gateways

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/claviger-dev/claviger/test/process"
)

// site is one gateway with the service behind it and the verifier beside it.
type site struct {
	gateway  string // host:port where clients ask
	verifier *verifier
	upstream *upstream
	// tellsLimits: it can show the RateLimit fields on requests that pass, too.
	tellsLimits bool
	// leavesParameters: it passes on what only a service that knows path parameters, or decodes
	// twice, reads otherwise. Its guide says so.
	leavesParameters bool

	log lockedBuffer // of the gateway
}

func newSite(t *testing.T) *site {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all of 127.0.0.0/8 for the client and the gateway to be at different addresses")
	}
	return &site{
		gateway:  freeAddress(t),
		verifier: startVerifier(t),
		upstream: startUpstream(t),
	}
}

// configure puts the addresses of the site into a guide's text.
func (s *site) configure(t *testing.T, text string) string {
	t.Helper()
	return replace(t, text, guideGateway, s.port(), guideVerifier, s.verifier.address, guideUpstream, s.upstream.address)
}

// port is that of the gateway, with the colon before it.
func (s *site) port() string { return s.gateway[strings.LastIndexByte(s.gateway, ':'):] }

// program finds one of the gateways that hack/gateways.sh provides.
func program(t *testing.T, name string) string {
	t.Helper()
	if dir := os.Getenv("CLAVIGER_GATEWAYS"); dir != "" {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not here: make test gets it where it can and says why where it cannot, or put it on the PATH", name)
	}
	return path
}

// run starts a gateway and waits until it listens. What it logs is shown if the test fails.
func (s *site) run(t *testing.T, path string, args ...string) {
	t.Helper()
	p, err := process.Start(process.Options{
		Name: filepath.Base(path), Path: path, Args: args, Output: &s.log,
		Env:           []string{"HOME=" + t.TempDir()},
		OnParentDeath: syscall.SIGKILL,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("%s logged:\n%s", p.Name, &s.log)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err = p.WaitReady(ctx, s.isReady)
	if err != nil {
		t.Fatal(err)
	}
}

// isReady finds out whether the gateway has read its routes, which some do after they listen.
func (s *site) isReady(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.gateway+"/orders/1", nil)
	if err != nil {
		return err
	}
	r.Host = clientHost
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("a request without a key is answered with status %d", answer.StatusCode)
	}
	return nil
}

// write puts a file into a directory of the test's own, and returns its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

type lockedBuffer struct {
	mutex  sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.String()
}
