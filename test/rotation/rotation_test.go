// Package rotation rotates a key again and again while clients use it, through the whole of Claviger.
package rotation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/test/stack"
)

var claviger *stack.Stack

func TestMain(m *testing.M) {
	os.Exit(stack.Run(m, func(s *stack.Stack) { claviger = s }))
}

const manifests = `
apiVersion: keys.claviger.dev/v1alpha1
kind: Workspace
metadata: {name: shop}
---
apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata: {name: checkout}
spec:
  workspaceRef: {name: shop}
  rotation: {overlap: 10m}
`

const (
	rotations = 8
	clients   = 8
	// kubelet is how late a mounted file follows its Secret here. A real one takes about a minute; the shorter
	// it is, the less time a new key has to become known before it is used.
	kubelet = 10 * time.Millisecond
)

// Clients that read the mounted file before each request are never refused, however often the key is rotated.
func TestNoRequestIsRefusedWhileAKeyIsRotated(t *testing.T) {
	ns := claviger.Namespace(t, "rotation")
	claviger.Apply(t, ns, manifests)
	claviger.AwaitKey(t, ns, "checkout")
	claviger.AwaitVerifier(t, claviger.Key(t, ns, "checkout"))

	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	mount := newMount(t, claviger.Key(t, ns, "checkout"))
	running.Go(func() { mount.follow(ctx, t, ns) })
	var asked, refused atomic.Int64
	for range clients {
		running.Go(func() { ask(ctx, t, mount, &asked, &refused) })
	}
	keys := map[string]bool{claviger.Key(t, ns, "checkout"): true}
	for i := range rotations {
		claviger.Kubectl(t, "annotate", "apikey", "checkout", "-n", ns, "--overwrite", "keys.claviger.dev/regenerate="+strconv.Itoa(i))
		stack.Eventually(t, func() string {
			is := claviger.Kubectl(t, "get", "apikey", "checkout", "-n", ns, "-o", "jsonpath={.status.keyGeneration}")
			if is != strconv.Itoa(i+2) {
				return "the key is at generation " + is
			}
			return ""
		})
		key := claviger.Key(t, ns, "checkout")
		stack.Eventually(t, func() string {
			if mount.read() != key {
				return "the mounted file does not follow"
			}
			return ""
		})
		keys[key] = true
	}
	stop()
	running.Wait()
	if len(keys) != rotations+1 {
		t.Errorf("%d rotations made %d keys", rotations, len(keys))
	}
	if asked.Load() < 100 || refused.Load() > 0 {
		t.Errorf("%d of %d requests were refused", refused.Load(), asked.Load())
	}
	t.Logf("%d requests in %d rotations, %d refused", asked.Load(), rotations, refused.Load())
}

// ask uses the key in the mounted file until ctx ends.
func ask(ctx context.Context, t *testing.T, mount *mount, asked, refused *atomic.Int64) {
	for ctx.Err() == nil {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, claviger.VerifierURL+"/v1/auth", nil)
		if err != nil {
			t.Error(err)
			return
		}
		request.Header.Set("X-API-Key", mount.read())
		response, err := http.DefaultClient.Do(request)
		if errors.Is(err, context.Canceled) {
			return
		}
		if err != nil {
			t.Error(err)
			return
		}
		response.Body.Close() //nolint:errcheck // only the status counts
		asked.Add(1)
		if response.StatusCode/100 != 2 {
			refused.Add(1)
		}
	}
}

// mount is a directory that a Secret is mounted at, as a kubelet does it: each version in a directory of its own, and
// a symbolic link that is exchanged at one stroke.
type mount struct{ dir string }

func newMount(t *testing.T, key string) *mount {
	t.Helper()
	m := &mount{t.TempDir()}
	if err := m.write(key); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *mount) write(key string) error {
	version, err := os.MkdirTemp(m.dir, "..version-")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(version, "api-key"), []byte(key), 0o600); err != nil {
		return err
	}
	link := filepath.Join(m.dir, "..data_tmp")
	if err := os.Symlink(version, link); err != nil {
		return err
	}
	return os.Rename(link, filepath.Join(m.dir, "..data"))
}

func (m *mount) read() string {
	key, err := os.ReadFile(filepath.Join(m.dir, "..data", "api-key"))
	if err != nil {
		return fmt.Sprint("cannot be read: ", err)
	}
	return string(key)
}

// follow brings the directory up to date with the Secret until ctx ends.
func (m *mount) follow(ctx context.Context, t *testing.T, ns string) {
	for ctx.Err() == nil {
		out, err := claviger.Try("", "get", "secret", "checkout", "-n", ns, "-o", "go-template={{index .data \"api-key\" | base64decode}}")
		if key := strings.TrimSpace(out); err != nil {
			t.Error(err)
			return
		} else if key != m.read() {
			if err := m.write(key); err != nil {
				t.Error(err)
				return
			}
		}
		time.Sleep(kubelet)
	}
}
