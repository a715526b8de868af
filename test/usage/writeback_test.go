package usage

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	testclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers"
	"github.com/claviger-dev/claviger/controllers/status"
	usagecontroller "github.com/claviger-dev/claviger/controllers/usage"
	"github.com/claviger-dev/claviger/internal/fieldindex"
	"github.com/claviger-dev/claviger/internal/usage"
)

var november = time.Date(2026, time.November, 21, 10, 30, 0, 0, time.UTC)

// startOperator runs the write-back, and nothing else of the operator, with the operator's
// identity, until the test ends or stop is called. Its clock runs a thousand times too fast.
func startOperator(t *testing.T, v *verifier) (stop func()) {
	t.Helper()
	stop, _ = startOperatorThatSees(t, v.feed(), func(c client.Client) client.Client { return c })
	return stop
}

// feed is where an operator reads usage.
type feed struct{ url, certDir string }

func (v *verifier) feed() feed { return feed{v.url, v.certDir} }

func startOperatorThatSees(t *testing.T, feed feed, view func(client.Client) client.Client) (stop func(), metrics *prometheus.Registry) {
	t.Helper()
	metrics = prometheus.NewRegistry()
	config := identity(t, "claviger-operator")
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme(t), Metrics: metricsserver.Options{BindAddress: "0"}, Logger: logr.Discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := fieldindex.Register(ctx, mgr.GetFieldIndexer()); err != nil {
		t.Fatal(err)
	}
	clock := testclock.NewFakeClock(november)
	writeBack, err := usagecontroller.New(usagecontroller.Options{
		Client: view(mgr.GetClient()), Informers: mgr.GetCache(), Events: mgr.GetEventRecorder(controllers.Reporter),
		VerifierURLs: []string{feed.url}, CAFile: filepath.Join(feed.certDir, "ca.crt"), TokenFile: verifierToken(t),
		Interval: 10 * time.Second, WritesPerSecond: 20,
		Metrics: metrics, Log: logr.Discard(), Clock: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := mgr.Add(writeBack); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	go func() {
		for ; ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
			clock.Step(5 * time.Second)
		}
	}()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop, metrics
}

func scheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return scheme
}

func admin(t *testing.T) client.Client {
	t.Helper()
	admin, err := client.New(plane.Config, client.Options{Scheme: scheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	return admin
}

func createKey(t *testing.T, name string, limits ...string) *v1alpha1.ApiKey {
	t.Helper()
	key := &v1alpha1.ApiKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec:       v1alpha1.ApiKeySpec{WorkspaceRef: v1alpha1.LocalReference{Name: "shop"}},
	}
	for _, limit := range limits {
		key.Spec.LimitRefs = append(key.Spec.LimitRefs, v1alpha1.LocalReference{Name: limit})
	}
	if err := admin(t).Create(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	return key
}

func readKey(t *testing.T, name string) *v1alpha1.ApiKey {
	t.Helper()
	var key v1alpha1.ApiKey
	if err := admin(t).Get(t.Context(), client.ObjectKey{Namespace: "default", Name: name}, &key); err != nil {
		t.Fatal(err)
	}
	return &key
}

// summary is a status's usage in one line, to compare.
func summary(key *v1alpha1.ApiKey) string {
	u := key.Status.Usage
	if u == nil {
		return "none"
	}
	text := fmt.Sprintf("%s %d/%d total %d/%d last %s", u.Period.Start.UTC().Format("2006-01"), u.Period.Requests, u.Period.Denied,
		u.Total.Requests, u.Total.Denied, u.LastUsedAt.UTC().Format(time.RFC3339))
	if u.Remaining != nil {
		text += fmt.Sprintf(" remaining %d until %s", *u.Remaining, u.ResetAt.UTC().Format(time.RFC3339))
	}
	return text
}

func awaitUsage(t *testing.T, name, want string) {
	t.Helper()
	await(t, func() string {
		if got := summary(readKey(t, name)); got != want {
			return fmt.Sprintf("the usage of %s reads %q, want %q", name, got, want)
		}
		return ""
	})
}

// reconcile writes a status as the operator's controllers do.
func reconcile(t *testing.T, key *v1alpha1.ApiKey, state string) {
	t.Helper()
	_, err := status.Apply(t.Context(), admin(t), readKey(t, key.Name), &v1alpha1.ApiKeyStatus{
		State: state, KeyID: string(key.UID),
		Conditions: []metav1.Condition{{
			Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReconciled,
			LastTransitionTime: metav1.NewTime(november),
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestUsageAndTheRestOfAStatusDoNotOverwriteEachOther(t *testing.T) {
	v := startVerifier(t)
	startOperator(t, v)
	key := createKey(t, "shared")
	reconcile(t, key, "Active")

	v.use(string(key.UID), november, 3, 1, 96)
	const first = "2026-11 3/1 total 3/1 last 2026-11-21T10:30:00Z remaining 96 until 2026-11-21T10:31:00Z"
	awaitUsage(t, "shared", first)
	if got := readKey(t, "shared").Status; got.State != "Active" || got.KeyID != string(key.UID) || len(got.Conditions) != 1 {
		t.Errorf("after usage was written the status reads %+v", got)
	}

	reconcile(t, key, "Disabled")
	if got := readKey(t, "shared"); summary(got) != first || got.Status.State != "Disabled" {
		t.Errorf("after the operator wrote: %s, state %s", summary(got), got.Status.State)
	}

	// A limit that no longer holds leaves nothing remaining.
	v.use(string(key.UID), november.Add(time.Minute), 1, 0, usage.NoLimit)
	awaitUsage(t, "shared", "2026-11 4/1 total 4/1 last 2026-11-21T10:31:00Z")
	if got := readKey(t, "shared").Status; got.State != "Disabled" || len(got.Conditions) != 1 {
		t.Errorf("after usage was written again the status reads %+v", got)
	}
}

func TestAnIdleKeyBeginsANewMonthAtZero(t *testing.T) {
	v := startVerifier(t)
	startOperator(t, v)
	key := createKey(t, "idle")
	v.use(string(key.UID), november, 2, 0, usage.NoLimit)
	awaitUsage(t, "idle", "2026-11 2/0 total 2/0 last 2026-11-21T10:30:00Z")
	v.setNow(november.AddDate(0, 1, 0))
	awaitUsage(t, "idle", "2026-12 0/0 total 2/0 last 2026-11-21T10:30:00Z")
}

func TestARestartWritesOnlyWhatDiffers(t *testing.T) {
	v := startVerifier(t)
	stop := startOperator(t, v)
	same, changed := createKey(t, "same"), createKey(t, "changed")
	v.use(string(same.UID), november, 1, 0, 9)
	v.use(string(changed.UID), november, 1, 0, 9)
	awaitUsage(t, "same", "2026-11 1/0 total 1/0 last 2026-11-21T10:30:00Z remaining 9 until 2026-11-21T10:31:00Z")
	awaitUsage(t, "changed", "2026-11 1/0 total 1/0 last 2026-11-21T10:30:00Z remaining 9 until 2026-11-21T10:31:00Z")
	stop()
	version := readKey(t, "same").ResourceVersion

	v.use(string(changed.UID), november, 1, 0, 8)
	startOperator(t, v)
	awaitUsage(t, "changed", "2026-11 2/0 total 2/0 last 2026-11-21T10:30:00Z remaining 8 until 2026-11-21T10:31:00Z")
	if got := readKey(t, "same").ResourceVersion; got != version {
		t.Errorf("a status that was right already was written: version %s, before %s", got, version)
	}
}

func TestUsageOfADeletedKeyIsNotShownOnItsSuccessor(t *testing.T) {
	v := startVerifier(t)
	stop := startOperator(t, v)
	old := createKey(t, "again")
	stop()
	v.use(string(old.UID), november, 5, 0, usage.NoLimit)
	if err := admin(t).Delete(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	createKey(t, "again")
	witness := createKey(t, "witness")
	v.use(string(witness.UID), november, 1, 0, usage.NoLimit)
	startOperator(t, v)
	awaitUsage(t, "witness", "2026-11 1/0 total 1/0 last 2026-11-21T10:30:00Z")
	if got := summary(readKey(t, "again")); got != "none" {
		t.Errorf("a key that was never used shows %s", got)
	}
}

// stale is a cache that has not seen yet that a key was deleted.
type stale struct {
	client.Client
	deleted *v1alpha1.ApiKey
}

func (s stale) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	list.(*v1alpha1.ApiKeyList).Items = []v1alpha1.ApiKey{*s.deleted}
	return nil
}

func TestAStaleCacheDoesNotPutUsageOnASuccessor(t *testing.T) {
	v := startVerifier(t)
	old := createKey(t, "replaced")
	if err := admin(t).Delete(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	createKey(t, "replaced")
	v.use(string(old.UID), november, 5, 0, usage.NoLimit)
	_, metrics := startOperatorThatSees(t, v.feed(), func(c client.Client) client.Client { return stale{c, old} })
	await(t, func() string {
		if got := writes(t, metrics, "conflict"); got < 1 {
			return fmt.Sprintf("%v writes were refused as those of another key, want one", got)
		}
		return ""
	})
	if got := summary(readKey(t, "replaced")); got != "none" {
		t.Errorf("a key that was never used shows %s", got)
	}
}

func writes(t *testing.T, metrics *prometheus.Registry, result string) float64 {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.Metric {
			for _, label := range metric.Label {
				if family.GetName() == "claviger_usage_status_writes_total" && label.GetValue() == result {
					return metric.Counter.GetValue()
				}
			}
		}
	}
	return 0
}
