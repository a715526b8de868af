package usage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/fieldindex"
)

var apiKeys = schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "apikeys"}

// cluster is an API server that answers writes of namespace refused with an error, and
// counts the others.
type cluster struct {
	client.Client
	written map[string]int
	tried   int
}

func newCluster(t *testing.T, refusal error, namespaces map[string]int) *cluster {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c := &cluster{written: map[string]int{}}
	builder := fake.NewClientBuilder().WithScheme(scheme).
		WithIndex(&v1alpha1.ApiKey{}, fieldindex.ApiKeyUID, uid).WithIndex(&v1alpha1.KeyLimit{}, fieldindex.KeyLimitUID, uid).
		WithInterceptorFuncs(interceptor.Funcs{SubResourceApply: func(_ context.Context, _ client.Client, _ string, applied runtime.ApplyConfiguration, _ ...client.SubResourceApplyOption) error {
			fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(applied)
			if err != nil {
				return err
			}
			object := unstructured.Unstructured{Object: fields}
			c.tried++
			if object.GetNamespace() == "refused" {
				return refusal
			}
			c.written[object.GetName()]++
			return nil
		}})
	for namespace, count := range namespaces {
		for i := range count {
			name := fmt.Sprintf("%s-%d", namespace, i)
			builder = builder.WithObjects(&v1alpha1.ApiKey{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(name)}})
		}
	}
	c.Client = builder.Build()
	return c
}

func uid(o client.Object) []string { return []string{string(o.GetUID())} }

func newWriteBack(c client.Client, clock *testclock.FakeClock, perSecond float64) *WriteBack {
	return &WriteBack{
		log: logr.Discard(), clock: clock, metrics: newMetrics(),
		statuses: statuses{client: c, writer: c}, schedule: newSchedule(perSecond, noJitter), announced: announced{}, known: newKnown(),
		verifiers: prompt(),
	}
}

func TestOnlyAnAnswerAboutTheServerHoldsUpOtherKeys(t *testing.T) {
	tests := map[string]struct {
		err    error
		pauses bool
	}{
		"a policy forbids it":                  {apierrors.NewForbidden(apiKeys, "a", errors.New("a policy")), false},
		"an admission webhook cannot be asked": {apierrors.NewInternalError(errors.New("failed calling webhook")), false},
		"the status is not valid":              {apierrors.NewInvalid(schema.GroupKind{Kind: "ApiKey"}, "a", nil), false},
		"the request is malformed":             {apierrors.NewBadRequest("why"), false},
		"the server is busy":                   {apierrors.NewTooManyRequests("later", 1), true},
		"the server is slow":                   {apierrors.NewTimeoutError("slow", 1), true},
		"the server asks to come back":         {apierrors.NewServerTimeout(apiKeys, "patch", 1), true},
		"the server is starting":               {apierrors.NewServiceUnavailable("starting"), true},
		"the operator is not known":            {apierrors.NewUnauthorized("who"), true},
		"nobody is listening":                  {errors.New("connection refused"), true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			clock := testclock.NewFakeClock(start)
			c := newCluster(t, test.err, map[string]int{"refused": 1, "good": 1})
			w := newWriteBack(c, clock, unlimited)
			w.schedule.observe(key("refused-0", 1), time.Time{}, start)
			w.schedule.observe(key("good-0", 1), start, start)
			failures := w.pass(0)
			clock.Step(time.Millisecond)
			failures = w.pass(failures)
			if paused := c.written["good-0"] == 0; paused != test.pauses {
				t.Errorf("the other key is held up: %v, want %v", paused, test.pauses)
			}
			// Neither kind of failure loses the usage of a key that is not used again.
			before := c.tried
			clock.Step(writeEvery)
			w.pass(failures)
			if c.tried == before {
				t.Error("the key that failed is not tried again")
			}
		})
	}
}

// pass writes all that may be written now.
func (w *WriteBack) pass(failures int) int {
	for {
		e, _ := w.schedule.next(w.clock.Now())
		if e == nil {
			return failures
		}
		failures = w.settle(context.Background(), e, failures)
	}
}

func TestKeysThatAreAlwaysRefusedStarveNobody(t *testing.T) {
	const good, refused, minutes = 10, 100, 30
	clock := testclock.NewFakeClock(start)
	c := newCluster(t, apierrors.NewForbidden(apiKeys, "a", errors.New("a policy")), map[string]int{"refused": refused, "good": good})
	// Less than the refused keys alone would take.
	w := newWriteBack(c, clock, 1)
	shown := map[string]time.Time{}
	for second := range minutes * 60 {
		now := clock.Now()
		for namespace, count := range map[string]int{"refused": refused, "good": good} {
			for i := range count {
				id := fmt.Sprintf("%s-%d", namespace, i)
				w.schedule.observe(key(id, int64(second)), shown[id], now)
			}
		}
		before := maps.Clone(c.written)
		w.pass(0)
		for id, writes := range c.written {
			if writes > before[id] {
				shown[id] = now
			}
		}
		clock.Step(time.Second)
	}
	// With one write a second every key has its turn in less than two minutes.
	for i := range good {
		if id := fmt.Sprintf("good-%d", i); c.written[id] < minutes/2-1 {
			t.Errorf("%s was written %d times in %d minutes", id, c.written[id], minutes)
		}
	}
}
