// Package outage tests what a verifier does while the API server is away, and when it comes back: the
// real program against a real API server, with the RBAC identity it has in a cluster.
package outage

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/test/controlplane"
)

// patience is for whatever runs in other goroutines and processes.
const patience = time.Minute

const systemNamespace = "claviger-system"

var (
	plane *controlplane.ControlPlane
	admin client.Client
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var err error
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
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if missing = check(); missing == "" {
			return
		}
	}
	t.Fatalf("after %v still: %s", patience, missing)
}
