// Package failover runs two operators and freezes the one that leads, as a node under pressure or a suspended
// virtual machine does: past its lease, and then awake again.
package failover

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/test/controlplane"
)

// patience is for a lease to run out and another operator to lead, on a busy machine.
const patience = 2 * time.Minute

const systemNamespace = "claviger-system"

var (
	plane  *controlplane.ControlPlane
	admin  client.Client
	binary string
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "claviger-failover-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the tests are over
	if binary = os.Getenv("CLAVIGER_BINARY"); binary == "" {
		binary = filepath.Join(dir, "claviger")
		build := exec.Command("go", "build", "-o", binary, "./cmd/claviger")
		build.Dir = controlplane.RepositoryRoot()
		if out, err := build.CombinedOutput(); err != nil {
			return fail(fmt.Errorf("%w\n%s", err, out))
		}
	}
	if plane, err = controlplane.Start(controlplane.Options{}); err != nil {
		return fail(err)
	}
	defer plane.Stop() //nolint:errcheck // the tests are over
	for _, args := range [][]string{
		{"create", "namespace", systemNamespace},
		{"apply", "-k", "config/rbac"},
	} {
		if _, err := plane.RunKubectl(context.Background(), nil, args...); err != nil {
			return fail(err)
		}
	}
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	if admin, err = client.New(plane.Config, client.Options{Scheme: scheme}); err != nil {
		return fail(err)
	}
	return m.Run()
}

func await(t *testing.T, check func() (missing string)) {
	t.Helper()
	var missing string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if missing = check(); missing == "" {
			return
		}
	}
	t.Fatalf("after %v still: %s", patience, missing)
}
