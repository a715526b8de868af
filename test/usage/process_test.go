package usage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/token"
	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/internal/usagestore/sqlite"
	"github.com/claviger-dev/claviger/test/controlplane"
	"github.com/claviger-dev/claviger/test/process"
)

// program is a running `claviger verifier`.
type program struct {
	*process.Process
	url, usageDB string
	admin        feed
	client       *http.Client
	asked        atomic.Int64
}

const clients = 8

func startProgram(t *testing.T) *program {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "claviger")
	build := exec.Command("go", "build", "-o", binary, "./cmd/claviger")
	build.Dir = controlplane.RepositoryRoot()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := controlplane.WriteKubeconfig(kubeconfig, identity(t, "claviger-verifier")); err != nil {
		t.Fatal(err)
	}
	address, admin := freeAddress(t), freeAddress(t)
	p := &program{
		url: "http://" + address, usageDB: filepath.Join(dir, "usage.db"), admin: feed{"https://" + admin, certDir(t)},
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}},
	}
	var err error
	p.Process, err = process.Start(process.Options{
		Name: "claviger verifier", Path: binary, Output: t.Output(), OnParentDeath: syscall.SIGKILL,
		Args: []string{"verifier", "--kubeconfig=" + kubeconfig, "--listen=" + address, "--extauthz-listen=", "--admin-listen=" + admin,
			"--cert-dir=" + p.admin.certDir, "--usage-db=" + p.usageDB},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill() }) //nolint:errcheck // most tests ended it
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := p.WaitReady(ctx, func(context.Context) error { return p.ask("/readyz", "") }); err != nil {
		t.Fatal(err)
	}
	return p
}

func freeAddress(t *testing.T) string {
	t.Helper()
	port, err := controlplane.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// ask returns an error unless it was answered with 200.
func (p *program) ask(path, key string) error {
	request, err := http.NewRequest(http.MethodGet, p.url+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("X-API-Key", key)
	p.asked.Add(1)
	response, err := p.client.Do(request)
	if err != nil {
		return err
	}
	response.Body.Close() //nolint:errcheck // a test
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s was answered with %s", path, response.Status)
	}
	return nil
}

// counted is how many requests the database holds.
func (p *program) counted(t *testing.T) int64 {
	t.Helper()
	store, err := sqlite.Open(t.Context(), p.usageDB)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close() //nolint:errcheck // it was only read
	page, err := store.Changes(t.Context(), 0, time.Now(), thisMonth)
	if err != nil {
		t.Fatal(err)
	}
	var sum usagefeed.Counts
	for _, key := range page.Keys {
		sum.Requests += key.Total.Requests
		sum.Denied += key.Total.Denied
	}
	return sum.Requests + sum.Denied
}

// issue makes a key as the operator would, and waits until the program knows it.
func (p *program) issue(t *testing.T, name string, limits ...string) (key string) {
	t.Helper()
	workspace := &v1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "shop"}}
	if err := admin(t).Create(t.Context(), workspace); client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
	made, err := token.New("ak", "live")
	if err != nil {
		t.Fatal(err)
	}
	apiKey := createKey(t, name, limits...)
	hashed := credential.Credential{
		Hash: made.Hash(), Hint: made.Hint(), ApiKeyUID: apiKey.UID, ApiKey: client.ObjectKeyFromObject(apiKey),
		Generation: 1, IssuedAt: time.Now(),
	}
	secrets := kubernetes.NewForConfigOrDie(plane.Config).CoreV1().Secrets(systemNamespace)
	if _, err := secrets.Create(t.Context(), hashed.Secret(systemNamespace), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		secrets.Delete(context.Background(), hashed.Secret(systemNamespace).Name, metav1.DeleteOptions{}) //nolint:errcheck // the next test has its own
	})
	await(t, func() string {
		if err := p.ask("/v1/auth", made.Reveal()); err != nil {
			return err.Error()
		}
		return ""
	})
	return made.Reveal()
}

func TestSIGTERMUnderLoadLosesNothingThatWasAnswered(t *testing.T) {
	p := startProgram(t)
	key := p.issue(t, "terminated")
	var answered atomic.Int64
	var asking sync.WaitGroup
	enough := make(chan struct{})
	for range clients {
		asking.Go(func() {
			// Until it does not listen any more.
			for p.ask("/v1/auth", key) == nil {
				if answered.Add(1) == 2000 {
					close(enough)
				}
			}
		})
	}
	<-enough
	if err := p.Stop(patience); err != nil {
		t.Fatal(err)
	}
	if err := errors.Unwrap(p.Err()); err != nil {
		t.Errorf("it did not end well: %v", err)
	}
	asking.Wait()
	if got := p.counted(t); got < answered.Load() || got > p.asked.Load() {
		t.Errorf("%d requests are counted; %d were answered and %d asked", got, answered.Load(), p.asked.Load())
	}
}

func TestWhatIsStoredOutlivesKill9(t *testing.T) {
	p := startProgram(t)
	key := p.issue(t, "killed")
	const requests = 300
	for range requests {
		if err := p.ask("/v1/auth", key); err != nil {
			t.Fatal(err)
		}
	}
	// Nobody asks it to store anything: it does so by itself, several times a second.
	await(t, func() string {
		if got := p.counted(t); got < requests {
			return fmt.Sprintf("%d requests are stored of %d", got, requests)
		}
		return ""
	})
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if got := p.counted(t); got < requests {
		t.Errorf("%d requests are left after kill -9, %d were stored before", got, requests)
	}
}

// thisMonth is the billing period of a workspace that decides nothing about it.
func thisMonth(string) (start, end time.Time) {
	start = usagefeed.PeriodStart(time.Now())
	return start, start.AddDate(0, 1, 0)
}
