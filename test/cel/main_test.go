// Package cel tests every rule of the CRDs' schemas against a real API server, by spoiling
// one thing at a time in an object that is valid and has every field set.
package cel

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/claviger-dev/claviger/test/controlplane"
)

var api client.Client

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	cp, err := controlplane.Start(controlplane.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer cp.Stop() //nolint:errcheck // nothing is left to be done about it
	if api, err = client.New(cp.Config, client.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// kinds are the base names of the files in testdata and, with an s, of the CRDs.
var kinds = []string{"apikey", "workspace", "serviceaccount", "keylimit"}

// Further files of a kind, for the fields that exclude others.
var variants = map[string][]string{
	"apikey":         {"apikey-ending", "apikey-sealed", "apikey-secretref", "apikey-sha256", "apikey-personal"},
	"serviceaccount": {"serviceaccount-sealed"},
}

// kindOf is the kind that a file in testdata is of.
func kindOf(file string) string {
	kind, _, _ := strings.Cut(file, "-")
	return kind
}

// full is a valid object from a file in testdata. All files of a kind together set every field.
func full(t *testing.T, file string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	readYAML(t, filepath.Join("testdata", file+".yaml"), &object.Object)
	object.SetNamespace("default")
	return object
}

// setting is a valid object of a kind that sets a field.
func setting(t *testing.T, kind, path string) *unstructured.Unstructured {
	t.Helper()
	for _, file := range append([]string{kind}, variants[kind]...) {
		object := full(t, file)
		if _, found := lookup(object, path); found {
			return object
		}
	}
	t.Fatalf("no testdata/%s*.yaml sets %s", kind, path)
	return nil
}

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// tryCreate asks whether an object could be created.
func tryCreate(object *unstructured.Unstructured) error {
	return api.Create(context.Background(), object.DeepCopy(), client.DryRunAll)
}

// causes are the faults that the API server found, each by its field and in words.
func causes(t *testing.T, err error) []metav1.StatusCause {
	t.Helper()
	status, ok := err.(apierrors.APIStatus)
	if !ok || !apierrors.IsInvalid(err) || status.Status().Details == nil {
		t.Fatalf("got %v, want it refused as invalid", err)
	}
	return status.Status().Details.Causes
}
