package keylimit

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/fieldindex"
)

var now = time.Date(2026, time.November, 21, 10, 30, 0, 0, time.UTC)

// indexedBuilder is a fake client in the making, with the indexes of the operator's cache.
type indexedBuilder struct{ *fake.ClientBuilder }

func (b indexedBuilder) IndexField(_ context.Context, object client.Object, field string, extract client.IndexerFunc) error {
	b.WithIndex(object, field, extract)
	return nil
}

// newReconciler reconciles objects in a cluster that tells which statuses were applied, and keeps none.
func newReconciler(t *testing.T, objects ...client.Object) (*Reconciler, *[]map[string]any) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	var applied []map[string]any
	b := indexedBuilder{fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		SubResourceApply: func(_ context.Context, _ client.Client, _ string, status runtime.ApplyConfiguration, _ ...client.SubResourceApplyOption) error {
			fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(status)
			written, _, _ := unstructured.NestedMap(fields, "status")
			applied = append(applied, written)
			return err
		},
	})}
	if err := fieldindex.Register(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	c := b.Build()
	return &Reconciler{Cached: c, Writer: c, Clock: testclock.NewFakePassiveClock(now)}, &applied
}

func TestTheUsageInAStatusIsLeftAlone(t *testing.T) {
	limit := &v1alpha1.KeyLimit{
		ObjectMeta: metav1.ObjectMeta{Namespace: "tenant", Name: "l", Generation: 1},
		Spec:       v1alpha1.KeyLimitSpec{Rates: []v1alpha1.Rate{{Requests: 1, Per: metav1.Duration{Duration: time.Minute}}}},
	}
	limit.Status = desiredStatus(limit, 0, now)
	limit.Status.Usage = &v1alpha1.LimitUsage{ThrottledKeys: 1, Denied: 7}
	key := &v1alpha1.ApiKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: "tenant", Name: "k"},
		Spec:       v1alpha1.ApiKeySpec{LimitRefs: []v1alpha1.LocalReference{{Name: "l"}}},
	}
	request := reconcile.Request{NamespacedName: client.ObjectKeyFromObject(limit)}

	r, applied := newReconciler(t, limit)
	if _, err := r.Reconcile(t.Context(), request); err != nil || len(*applied) != 0 {
		t.Errorf("a status that is right but for its usage was written: %v, %v", *applied, err)
	}

	r, applied = newReconciler(t, limit, key)
	if _, err := r.Reconcile(t.Context(), request); err != nil || len(*applied) != 1 {
		t.Fatalf("of a key that was attached is written %v, %v", *applied, err)
	}
	if written := (*applied)[0]; written["attachedKeys"] != int64(1) || written["usage"] != nil {
		t.Errorf("written: %v, want one key and nothing about usage", written)
	}
}
