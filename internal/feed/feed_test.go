package feed

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/token"
	"github.com/claviger-dev/claviger/test/controlplane"
)

var (
	plane *controlplane.ControlPlane
	admin client.Client
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	os.Exit(func() int {
		var err error
		if plane, err = controlplane.Start(controlplane.Options{}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer plane.Stop() //nolint:errcheck // the processes end with the test anyway
		if admin, err = client.New(plane.Config, client.Options{Scheme: scheme}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// tenant is a namespace of a test's own with a working key, and an operator's namespace.
type tenant struct {
	*testing.T
	operator, namespace string
	workspace           *v1alpha1.Workspace
	key                 *v1alpha1.ApiKey
	secret              *corev1.Secret
	hash                token.Hash
}

func newTenant(t *testing.T) *tenant {
	t.Helper()
	n := &tenant{T: t}
	n.operator, n.namespace = n.newNamespace("operator-"), n.newNamespace("tenant-")
	n.workspace = &v1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: "shop"}}
	n.create(n.workspace)
	n.addKey("k")
	return n
}

// another is a second working key of the same tenant.
func (n *tenant) another(name string) *tenant {
	n.Helper()
	other := *n
	other.addKey(name)
	return &other
}

func (n *tenant) addKey(name string) {
	n.Helper()
	n.key = &v1alpha1.ApiKey{ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: name}}
	n.key.Spec.WorkspaceRef.Name = "shop"
	n.create(n.key)
	key, err := token.New("ak", "live")
	if err != nil {
		n.Fatal(err)
	}
	n.hash = key.Hash()
	n.secret = n.credential(n.key).Secret(n.operator)
	n.create(n.secret)
}

func (n *tenant) credential(k *v1alpha1.ApiKey) credential.Credential {
	return credential.Credential{
		Hash: n.hash, ApiKeyUID: k.UID, ApiKey: client.ObjectKeyFromObject(k), Generation: 1, IssuedAt: time.Now().Truncate(time.Second),
	}
}

func (n *tenant) newNamespace(prefix string) string {
	n.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: prefix}}
	n.create(namespace)
	return namespace.Name
}

func (n *tenant) create(object client.Object) {
	n.Helper()
	if err := admin.Create(n.Context(), object); err != nil {
		n.Fatal(err)
	}
}

func (n *tenant) update(object client.Object, change func()) {
	n.Helper()
	base := object.DeepCopyObject().(client.Object)
	change()
	if err := admin.Patch(n.Context(), object, client.MergeFrom(base)); err != nil {
		n.Fatal(err)
	}
}

func (n *tenant) delete(object client.Object) {
	n.Helper()
	if err := admin.Delete(n.Context(), object); err != nil {
		n.Fatal(err)
	}
}

// feed runs a feed on the tenant's operator namespace until the test ends.
func (n *tenant) feed() *keyindex.Index {
	n.Helper()
	x := keyindex.New()
	f := n.newFeed(plane.Config, x)
	run(n.T, f)
	eventually(n.T, "the feed is synced", func() bool { return f.Ready() == nil })
	return x
}

func (n *tenant) newFeed(config *rest.Config, x *keyindex.Index) *Feed {
	n.Helper()
	f, err := New(Options{Config: config, Namespace: n.operator, Index: x, Log: testr.New(n.T)})
	if err != nil {
		n.Fatal(err)
	}
	return f
}

func run(t *testing.T, f *Feed) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// is says whether the tenant's key is answered so.
func (n *tenant) is(x *keyindex.Index, code policy.Code) func() bool {
	return func() bool {
		var entry keyindex.Entry
		x.Lookup(n.hash, &entry)
		return policy.Check(&policy.Request{}, &entry.Record, time.Now()) == code
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came about that %s", what)
		}
	}
}

func TestChangesReachTheIndex(t *testing.T) {
	tests := map[string]struct {
		change func(*tenant)
		want   policy.Code
	}{
		"the ApiKey deleted":        {func(n *tenant) { n.delete(n.key) }, policy.CodeKeyInvalid},
		"the ApiKey revoked":        {func(n *tenant) { n.update(n.key, func() { n.key.Spec.State = v1alpha1.KeyRevoked }) }, policy.CodeKeyRevoked},
		"the Workspace suspended":   {func(n *tenant) { n.update(n.workspace, func() { n.workspace.Spec.Suspended = true }) }, policy.CodeWorkspaceSuspended},
		"the Workspace deleted":     {func(n *tenant) { n.delete(n.workspace) }, policy.CodeKeyInvalid},
		"the hashed Secret deleted": {func(n *tenant) { n.delete(n.secret) }, policy.CodeKeyInvalid},
		"the hashed Secret broken":  {func(n *tenant) { n.update(n.secret, func() { n.secret.Data["hash"] = []byte("short") }) }, policy.CodeKeyInvalid},
		"the hashed Secret no longer labelled": {func(n *tenant) {
			n.update(n.secret, func() { delete(n.secret.Labels, v1alpha1.LabelSecret) })
		}, policy.CodeKeyInvalid},
		"the approved end moved to the past": {func(n *tenant) {
			n.update(n.secret, func() { n.secret.Data["not-after"] = []byte("2026-01-01T00:00:00Z") })
		}, policy.CodeKeyExpired},
		"the namespace deleted": {func(n *tenant) {
			n.delete(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: n.namespace}})
		}, policy.CodeKeyInvalid},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			n := newTenant(t)
			x := n.feed()
			eventually(t, "the key works", n.is(x, policy.CodeValid))
			test.change(n)
			eventually(t, "it is "+string(test.want), n.is(x, test.want))
		})
	}
}

func TestADeletionHeldUpByAFinalizerRevokesAllTheSame(t *testing.T) {
	n := newTenant(t)
	n.update(n.key, func() { n.key.Finalizers = []string{"example.com/wait"} })
	x := n.feed()
	eventually(t, "the key works", n.is(x, policy.CodeValid))
	n.delete(n.key)
	eventually(t, "it does not", n.is(x, policy.CodeKeyInvalid))
	if err := admin.Get(t.Context(), client.ObjectKeyFromObject(n.key), n.key); err != nil {
		t.Errorf("the ApiKey should still be there: %v", err)
	}
	n.update(n.key, func() { n.key.Finalizers = nil })
}

func TestSecretsElsewhereOrOfAnotherKindGrantNothing(t *testing.T) {
	n := newTenant(t)
	n.delete(n.secret)
	elsewhere := n.credential(n.key).Secret(n.namespace)
	n.create(elsewhere)
	opaque := n.credential(n.key).Secret(n.operator)
	opaque.Name, opaque.Type = "opaque", corev1.SecretTypeOpaque
	n.create(opaque)
	x := n.feed()
	if ok := x.Lookup(n.hash, new(keyindex.Entry)); ok {
		t.Error("the key works")
	}
	if got := x.Counts().Credentials; got != 0 {
		t.Errorf("%d credentials were read", got)
	}
}

func TestItIsNotReadyBeforeAllIsListed(t *testing.T) {
	n := newTenant(t)
	registry := prometheus.NewRegistry()
	x := keyindex.New()
	f, err := New(Options{Config: plane.Config, Namespace: n.operator, Index: x, Log: testr.New(t), Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Ready(); err == nil || err.Error() != "waiting for the API server to list workspaces, serviceaccounts, keylimits, apikeys, secrets" {
		t.Errorf("before it ran: %v", err)
	}
	if got := gather(t, registry)["claviger_feed_synced"]; got != 0 {
		t.Errorf("before it ran, claviger_feed_synced is %v", got)
	}
	run(t, f)
	eventually(t, "the feed is synced", func() bool { return f.Ready() == nil })
	// Not eventually: whoever is told that it is ready may rely on it.
	if !n.is(x, policy.CodeValid)() {
		t.Error("it is ready and does not know the key")
	}
	metrics := gather(t, registry)
	if metrics["claviger_feed_synced"] != 1 {
		t.Errorf("claviger_feed_synced is %v", metrics["claviger_feed_synced"])
	}
	for _, name := range resources {
		name := "claviger_feed_last_contact_timestamp_seconds " + name
		if age := float64(time.Now().Unix()) - metrics[name]; age < -60 || age > 600 {
			t.Errorf("%s is %v", name, metrics[name])
		}
	}
}

func TestAnAPIServerThatIsAwayIsNoEmptyList(t *testing.T) {
	n := newTenant(t)
	// A port on which nobody answers.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	config := rest.CopyConfig(plane.Config)
	config.Host = "https://" + listener.Addr().String()
	x := keyindex.New()
	f := n.newFeed(config, x)
	run(t, f)
	eventually(t, "it has tried", func() bool { return counter(t, f.contacts.byResource["apikeys"].failed) > 0 })
	if err := f.Ready(); err == nil || !strings.Contains(err.Error(), "apikeys") {
		t.Errorf("without an API server: %v", err)
	}
}

func TestItServesWhileTheAPIServerIsAwayAndCatchesUp(t *testing.T) {
	n := newTenant(t)
	x := n.feed()
	eventually(t, "the key works", n.is(x, policy.CodeValid))
	if err := plane.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	restart := func() {
		if err := plane.StartAPIServer(); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		if !n.is(x, policy.CodeValid)() {
			restart()
			t.Fatal("the key was refused while the API server was away")
		}
		time.Sleep(20 * time.Millisecond)
	}
	restart()
	if !n.is(x, policy.CodeValid)() {
		t.Error("the key was refused when the API server came back")
	}
	n.delete(n.key)
	eventually(t, "a deletion takes hold again", n.is(x, policy.CodeKeyInvalid))
}

func TestOptionsThatAreMissing(t *testing.T) {
	if _, err := New(Options{Namespace: "n", Index: keyindex.New()}); err == nil {
		t.Error("a feed without a configuration was made")
	}
}

func gather(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name += " " + label.GetValue()
			}
			values[name] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	return values
}

func counter(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	for _, value := range gather(t, registry) {
		return value
	}
	return 0
}
