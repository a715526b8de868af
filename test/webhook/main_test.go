// Package webhook tests admission as it is in a cluster: a real API server asks two replicas
// of the operator's webhook, over certificates that these have made for themselves.
package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/fieldindex"
	"github.com/claviger-dev/claviger/test/controlplane"
	"github.com/claviger-dev/claviger/webhook"
)

const (
	namespace  = "claviger-system"
	certSecret = "claviger-certs"
	// How long to wait for what must happen, on a busy machine.
	patience = time.Minute
)

var (
	admin    client.Client
	plane    *controlplane.ControlPlane
	replicas [2]*replica
	scratch  string
	scheme   = runtime.NewScheme()
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctrl.SetLogger(klog.Background())
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer func() {
		cancel()
		running.Wait()
		if plane != nil {
			plane.Stop() //nolint:errcheck // nothing is left to be done about it
		}
		os.RemoveAll(scratch) //nolint:errcheck // nor about that
	}()
	if err := start(ctx, &running); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func start(ctx context.Context, running *sync.WaitGroup) (err error) {
	if scratch, err = os.MkdirTemp("", "claviger-webhook-"); err != nil {
		return err
	}
	if plane, err = controlplane.Start(controlplane.Options{}); err != nil {
		return err
	}
	if err = errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	if admin, err = client.New(plane.Config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	for _, args := range [][]string{{"-f", "config/manager/namespace.yaml"}, {"-k", "config/rbac"}} {
		if _, err := plane.RunKubectl(ctx, nil, append([]string{"apply", "--server-side"}, args...)...); err != nil {
			return err
		}
	}
	for i := range replicas {
		if replicas[i], err = newReplica(); err != nil {
			return err
		}
	}
	if err := configure(ctx, replicas[0].port); err != nil {
		return err
	}
	// Both at once, and over no Secret at all.
	for _, r := range replicas {
		running.Go(func() {
			if err := r.manager.Start(ctx); err != nil {
				fmt.Fprintln(os.Stderr, "a replica ended:", err)
			}
		})
	}
	for _, r := range replicas {
		if err := until(ctx, func() error { return r.check(nil) }); err != nil {
			return err
		}
	}
	// What the API server was told it takes up a moment later.
	return until(ctx, func() error { return admin.Create(ctx, key("default", "probe"), client.DryRunAll) })
}

// A replica is one operator, with nothing in it but its webhook.
type replica struct {
	manager ctrl.Manager
	port    int
	check   func(*http.Request) error
}

func newReplica() (*replica, error) {
	// The identity it has in a cluster: what it may not do, it cannot do here.
	identity, err := plane.ServiceAccountConfig(namespace, "claviger-operator")
	if err != nil {
		return nil, err
	}
	port, err := controlplane.FreePort()
	if err != nil {
		return nil, err
	}
	certDir, err := os.MkdirTemp(scratch, "replica-")
	if err != nil {
		return nil, err
	}
	server := webhook.NewServer("127.0.0.1", port, certDir)
	manager, err := newManager(identity, server)
	if err != nil {
		return nil, err
	}
	if err := fieldindex.Register(context.Background(), manager.GetFieldIndexer()); err != nil {
		return nil, err
	}
	if err := webhook.Setup(manager, webhook.Options{}); err != nil {
		return nil, err
	}
	ready, err := webhook.AddCertRotation(manager, webhook.CertOptions{
		Namespace: namespace, SecretName: certSecret, CertDir: certDir, DNSNames: []string{"extra.example"},
	})
	return &replica{manager: manager, port: port, check: webhook.ReadyCheck(server, ready)}, err
}

func newManager(identity *rest.Config, s *webhook.Server) (ctrl.Manager, error) {
	twoInOneProcess := true
	return ctrl.NewManager(identity, ctrl.Options{
		Scheme:        scheme,
		Metrics:       server.Options{BindAddress: "0"},
		WebhookServer: s,
		// One of the two never leads, and has to serve all the same.
		LeaderElection:                true,
		LeaderElectionID:              "claviger-operator",
		LeaderElectionNamespace:       namespace,
		LeaderElectionReleaseOnCancel: true,
		Controller:                    config.Controller{SkipNameValidation: &twoInOneProcess},
	})
}

// configure installs the product's own configurations, but for how to reach the webhook: there is
// no Service here.
func configure(ctx context.Context, port int) error {
	text, err := os.ReadFile(filepath.Join(controlplane.RepositoryRoot(), "config", "webhook", "manifests.yaml"))
	if err != nil {
		return err
	}
	validating, mutating, found := bytes.Cut(text, []byte("\n---\n"))
	if !found {
		return errors.New("config/webhook/manifests.yaml does not hold two configurations")
	}
	c := configurations{}
	if err := errors.Join(yaml.UnmarshalStrict(validating, &c.validating), yaml.UnmarshalStrict(mutating, &c.mutating)); err != nil {
		return err
	}
	for _, at := range c.clients() {
		url := fmt.Sprintf("https://localhost:%d%s", port, *at.Service.Path)
		at.URL, at.Service = &url, nil
	}
	return errors.Join(admin.Create(ctx, &c.validating), admin.Create(ctx, &c.mutating))
}

// configurations are the two that say who asks the webhook.
type configurations struct {
	validating admissionregistrationv1.ValidatingWebhookConfiguration
	mutating   admissionregistrationv1.MutatingWebhookConfiguration
}

func readConfigurations(ctx context.Context) (c configurations, err error) {
	return c, errors.Join(
		admin.Get(ctx, client.ObjectKey{Name: webhook.ConfigurationName}, &c.validating),
		admin.Get(ctx, client.ObjectKey{Name: webhook.MutatingConfigurationName}, &c.mutating))
}

// clients is how each of the webhooks is reached.
func (c *configurations) clients() (all []*admissionregistrationv1.WebhookClientConfig) {
	for i := range c.validating.Webhooks {
		all = append(all, &c.validating.Webhooks[i].ClientConfig)
	}
	for i := range c.mutating.Webhooks {
		all = append(all, &c.mutating.Webhooks[i].ClientConfig)
	}
	return all
}

func (c *configurations) update(ctx context.Context) error {
	return errors.Join(admin.Update(ctx, &c.validating), admin.Update(ctx, &c.mutating))
}

// until tries again until there is no error.
func until(ctx context.Context, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", patience, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// asUser is a client that keeps the warnings it is given.
func asUser(t *testing.T) (client.Client, *warnings) {
	t.Helper()
	given := &warnings{}
	user := rest.CopyConfig(plane.Config)
	user.WarningHandler = given
	c, err := client.New(user, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c, given
}

// as is a client of another user, who is in no group but the one of all users.
func as(t *testing.T, user string) client.Client {
	t.Helper()
	config := rest.CopyConfig(plane.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// bind gives users a cluster role in a namespace.
func bind(t *testing.T, namespace, clusterRole string, users ...string) {
	t.Helper()
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "test-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole},
	}
	for _, user := range users {
		binding.Subjects = append(binding.Subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "User", Name: user})
	}
	if err := admin.Create(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
}

// allowEverywhere makes a cluster role and gives it to users in the whole cluster.
func allowEverywhere(t *testing.T, name string, rule rbacv1.PolicyRule, user string) {
	t.Helper()
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{rule}}
	if err := errors.Join(admin.Create(t.Context(), role), admin.Create(t.Context(), binding)); err != nil {
		t.Fatal(err)
	}
}

// allow makes a cluster role, forgotten with the control plane, and gives it to users in a namespace.
func allow(t *testing.T, namespace, name string, rule rbacv1.PolicyRule, users ...string) {
	t.Helper()
	if err := admin.Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{rule}}); err != nil {
		t.Fatal(err)
	}
	bind(t, namespace, name, users...)
}

type warnings struct{ texts []string }

func (w *warnings) HandleWarningHeader(_ int, _, text string) { w.texts = append(w.texts, text) }

func (w *warnings) has(part string) bool { return strings.Contains(strings.Join(w.texts, "\n"), part) }

// newNamespace has an object's namespace made, and forgotten with the control plane.
func newNamespace(t *testing.T, name string) {
	t.Helper()
	if err := admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
		t.Fatal(err)
	}
}
