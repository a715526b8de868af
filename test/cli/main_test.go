// Package cli tests kubectl claviger against a real API server with the real webhook. The operator's other half is
// played by the tests: they write the status by hand, so that what the plugin makes of it is seen in every state.
package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/cli"
	"github.com/claviger-dev/claviger/internal/fieldindex"
	"github.com/claviger-dev/claviger/test/controlplane"
	"github.com/claviger-dev/claviger/webhook"
)

const (
	system = "claviger-system"
	// How long to wait for what must happen, on a busy machine.
	patience = time.Minute
)

var (
	admin  client.WithWatch
	plane  *controlplane.ControlPlane
	scheme = runtime.NewScheme()
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctrl.SetLogger(klog.Background())
	scratch, err := os.MkdirTemp("", "claviger-cli-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer func() {
		cancel()
		running.Wait()
		if plane != nil {
			plane.Stop()
		}
		os.RemoveAll(scratch)
	}()
	if err := start(ctx, scratch, &running); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func start(ctx context.Context, scratch string, running *sync.WaitGroup) (err error) {
	if plane, err = controlplane.Start(controlplane.Options{}); err != nil {
		return err
	}
	if err = errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	if admin, err = client.NewWithWatch(plane.Config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	for _, args := range [][]string{{"-f", "config/manager/namespace.yaml"}, {"-k", "config/rbac"}} {
		if _, err := plane.RunKubectl(ctx, nil, append([]string{"apply", "--server-side"}, args...)...); err != nil {
			return err
		}
	}
	return startWebhook(ctx, scratch, running)
}

// startWebhook has the API server ask the real webhook, with the identity that it has in a cluster.
func startWebhook(ctx context.Context, scratch string, running *sync.WaitGroup) error {
	identity, err := plane.ServiceAccountConfig(system, "claviger-operator")
	if err != nil {
		return err
	}
	port, err := controlplane.FreePort()
	if err != nil {
		return err
	}
	hooks := webhook.NewServer("127.0.0.1", port, scratch)
	manager, err := ctrl.NewManager(identity, ctrl.Options{Scheme: scheme, Metrics: server.Options{BindAddress: "0"}, WebhookServer: hooks})
	if err != nil {
		return err
	}
	if err := fieldindex.Register(ctx, manager.GetFieldIndexer()); err != nil {
		return err
	}
	if err := webhook.Setup(manager, webhook.Options{}); err != nil {
		return err
	}
	ready, err := webhook.AddCertRotation(manager, webhook.CertOptions{Namespace: system, SecretName: "claviger-certs", CertDir: scratch})
	if err != nil {
		return err
	}
	if err := configureWebhook(ctx, port); err != nil {
		return err
	}
	running.Go(func() {
		if err := manager.Start(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "the webhook ended:", err)
		}
	})
	if err := until(func() error { return webhook.ReadyCheck(hooks, ready)(nil) }); err != nil {
		return err
	}
	// What the API server was told it takes up a moment later.
	probe := &v1alpha1.KeyLimit{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "probe"}}
	probe.Spec.Rates = []v1alpha1.Rate{{Requests: 1, Per: metav1.Duration{Duration: time.Second}}}
	return until(func() error { return admin.Create(ctx, probe.DeepCopy(), client.DryRunAll) })
}

// until tries again until there is no error.
func until(try func() error) (err error) {
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if err = try(); err == nil || time.Now().After(end) {
			return err
		}
	}
}

// configureWebhook installs the product's own configuration, but for how to reach it: there is no Service here.
func configureWebhook(ctx context.Context, port int) error {
	text, err := os.ReadFile(filepath.Join(controlplane.RepositoryRoot(), "config", "webhook", "manifests.yaml"))
	if err != nil {
		return err
	}
	local := func(at *admissionregistrationv1.WebhookClientConfig) {
		url := fmt.Sprintf("https://localhost:%d%s", port, *at.Service.Path)
		at.URL, at.Service = &url, nil
	}
	for _, document := range strings.Split(string(text), "\n---\n") {
		validating := &admissionregistrationv1.ValidatingWebhookConfiguration{}
		mutating := &admissionregistrationv1.MutatingWebhookConfiguration{}
		var object client.Object = validating
		if strings.Contains(document, "kind: MutatingWebhookConfiguration") {
			object = mutating
		}
		if err := yaml.Unmarshal([]byte(document), object); err != nil {
			return err
		}
		for i := range validating.Webhooks {
			local(&validating.Webhooks[i].ClientConfig)
		}
		for i := range mutating.Webhooks {
			local(&mutating.Webhooks[i].ClientConfig)
		}
		if err := admin.Create(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

// result is what a command left behind.
type result struct {
	out, err string
	code     int
}

// claviger runs the plugin as an administrator in a namespace.
func claviger(t *testing.T, namespace, stdin string, args ...string) result {
	t.Helper()
	return clavigerAs(t, plane.Kubeconfig(), namespace, stdin, args...)
}

func clavigerAs(t *testing.T, kubeconfig, namespace, stdin string, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	p := cli.Plugin{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(stdin), Out: &out, ErrOut: &errOut},
		Version:   "test", Now: time.Now,
	}
	code := p.Run(t.Context(), append(args, "--kubeconfig", kubeconfig, "-n", namespace))
	return result{out.String(), errOut.String(), code}
}

// want fails the test unless a command ended with a code and said everything that is listed on standard error.
func (r result) want(t *testing.T, code int, said ...string) result {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit code %d, not %d\n%s\n%s", r.code, code, r.out, r.err)
	}
	for _, text := range said {
		if !strings.Contains(r.err, text) {
			t.Errorf("it did not say %q, but\n%s", text, r.err)
		}
	}
	return r
}

// newNamespace makes a namespace with a Workspace in it, forgotten with the control plane.
func newNamespace(t *testing.T, name string) string {
	t.Helper()
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}},
		&v1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "shop"}, Spec: v1alpha1.WorkspaceSpec{
			Scopes: []v1alpha1.ScopeDefinition{{Name: "orders:read"}, {Name: "orders:write"}},
		}},
	} {
		if err := admin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	return name
}

func get(t *testing.T, namespace, name string) *v1alpha1.ApiKey {
	t.Helper()
	key := &v1alpha1.ApiKey{}
	if err := admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, key); err != nil {
		t.Fatal(err)
	}
	return key
}

// setStatus writes a status as the operator would.
func setStatus(t *testing.T, namespace, name string, change func(*v1alpha1.ApiKey)) {
	t.Helper()
	key := get(t, namespace, name)
	before := key.DeepCopy()
	change(key)
	if err := admin.Status().Patch(t.Context(), key, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}
