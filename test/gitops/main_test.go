// Package gitops checks that tools which apply what is in Git are told the truth, and left in peace: what they
// make of Claviger's objects in every state, and who owns and writes which fields.
package gitops_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/test/controlplane"
)

var (
	plane  *controlplane.ControlPlane
	scheme = runtime.NewScheme()
	// admin reads and writes past every cache.
	admin client.Client
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctrl.SetLogger(logr.Discard()) // failures are told by what they lead to
	err := clientgoscheme.AddToScheme(scheme)
	if err == nil {
		err = v1alpha1.AddToScheme(scheme)
	}
	if err == nil {
		plane, err = controlplane.Start(controlplane.Options{})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer plane.Stop() //nolint:errcheck // the tests are over
	if admin, err = client.New(plane.Config, client.Options{Scheme: scheme}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
