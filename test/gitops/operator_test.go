package gitops_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers"
	"github.com/claviger-dev/claviger/internal/fieldindex"
)

// Only how long a broken test takes: none of them measures time.
const patience = time.Minute

var namespaces atomic.Int64

// newNamespace makes a namespace that no other test uses.
func newNamespace(t *testing.T, name string) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", name, namespaces.Add(1))}}
	if err := admin.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	return ns.Name
}

// operator is one as cmd/claviger runs it, without webhook, write-back of usage and leader election.
type operator struct {
	mu sync.Mutex
	// writes are the requests that were no reads, "METHOD path".
	writes []string
}

// start starts one that sees the given namespaces alone. With a resync its caches show all that they have again and again, in
// that period of real time.
func start(t *testing.T, now clock.PassiveClock, resync *time.Duration, own string, namespaces ...string) *operator {
	t.Helper()
	o := &operator{}
	withRecord := rest.CopyConfig(plane.Config)
	withRecord.Wrap(func(next http.RoundTripper) http.RoundTripper { return recording{o, next} })
	caches := controllers.CacheOptions()
	caches.SyncPeriod = resync
	caches.DefaultNamespaces = map[string]cache.Config{}
	for _, namespace := range namespaces {
		caches.DefaultNamespaces[namespace] = cache.Config{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	mgr, err := ctrl.NewManager(withRecord, ctrl.Options{
		Scheme: scheme, Cache: caches, Client: controllers.ClientOptions(), Metrics: server.Options{BindAddress: "0"},
		// Several operators run in this process, one after the other.
		Controller: config.Controller{SkipNameValidation: ptr.To(true)},
	})
	if err == nil {
		err = fieldindex.Register(ctx, mgr.GetFieldIndexer())
	}
	if err == nil {
		err = controllers.Setup(ctx, mgr, controllers.Options{Namespace: own, Clock: now})
	}
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return o
}

// recording notes the writes of an operator.
type recording struct {
	o    *operator
	next http.RoundTripper
}

func (r recording) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method != http.MethodGet {
		r.o.mu.Lock()
		r.o.writes = append(r.o.writes, request.Method+" "+request.URL.Path)
		r.o.mu.Unlock()
	}
	return r.next.RoundTrip(request)
}

func (o *operator) written() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.writes...)
}

// quiet waits until the operator has stopped writing.
func (o *operator) quiet(t *testing.T) {
	t.Helper()
	last := -1
	eventually(t, func() string {
		if now := len(o.written()); now != last {
			last = now
			time.Sleep(2 * time.Second) // the longest that anything waits to be counted anew, twice
			return "the operator does not stop writing"
		}
		return ""
	})
}

// eventually repeats a check until it finds nothing missing.
func eventually(t *testing.T, check func() (missing string)) {
	t.Helper()
	var missing string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if missing = check(); missing == "" {
			return
		}
	}
	t.Fatal(missing)
}

// apply applies manifests to a namespace by server-side apply, as a manager.
func apply(t *testing.T, namespace, manager, manifests string) {
	t.Helper()
	args := []string{"apply", "-n", namespace, "-f", "-", "--server-side", "--field-manager=" + manager}
	if out, err := plane.RunKubectl(t.Context(), []byte(manifests), args...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// get reads an object as the tools do.
func get(t *testing.T, namespace, kind, name string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	if err := admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, o); err != nil {
		t.Fatal(err)
	}
	return o
}

// conditionOf reads a condition of an object; empty: it has none of that type.
func conditionOf(t *testing.T, o *unstructured.Unstructured, kind string) metav1.Condition {
	t.Helper()
	var conditions []metav1.Condition
	list, _, err := unstructured.NestedSlice(o.Object, "status", "conditions")
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range list {
		c := item.(map[string]any)
		conditions = append(conditions, metav1.Condition{
			Type: c["type"].(string), Status: metav1.ConditionStatus(c["status"].(string)), Reason: c["reason"].(string)})
	}
	return ptr.Deref(meta.FindStatusCondition(conditions, kind), metav1.Condition{})
}
