package feed

import (
	"reflect"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

func TestEventsBecomeCalls(t *testing.T) {
	plain := &v1alpha1.ApiKey{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "k"}}
	terminating := plain.DeepCopy()
	terminating.DeletionTimestamp = &metav1.Time{}
	tests := map[string]struct {
		event func(toolscache.ResourceEventHandler)
		want  string
	}{
		"a new object":                    {func(h toolscache.ResourceEventHandler) { h.OnAdd(plain, true) }, "set ns/k"},
		"a changed object":                {func(h toolscache.ResourceEventHandler) { h.OnUpdate(terminating, plain) }, "set ns/k"},
		"an object that is being deleted": {func(h toolscache.ResourceEventHandler) { h.OnUpdate(plain, terminating) }, "remove ns/k"},
		"a new one that is being deleted": {func(h toolscache.ResourceEventHandler) { h.OnAdd(terminating, false) }, "remove ns/k"},
		"a deleted object":                {func(h toolscache.ResourceEventHandler) { h.OnDelete(plain) }, "remove ns/k"},
		"a missed deletion": {func(h toolscache.ResourceEventHandler) {
			h.OnDelete(toolscache.DeletedFinalStateUnknown{Key: "ns/k", Obj: plain})
		}, "remove ns/k"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var calls []string
			test.event(adapter(
				func(k *v1alpha1.ApiKey) { calls = append(calls, "set "+k.Namespace+"/"+k.Name) },
				func(k *v1alpha1.ApiKey) { calls = append(calls, "remove "+k.Namespace+"/"+k.Name) },
			))
			if !slices.Equal(calls, []string{test.want}) {
				t.Errorf("got %q, want %q", calls, test.want)
			}
		})
	}
}

func TestSlimKeepsWhatTheIndexReadsAndNothingElse(t *testing.T) {
	meta := metav1.ObjectMeta{
		Name: "x", Generation: 7,
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m"}},
		Annotations:   map[string]string{corev1.LastAppliedConfigAnnotation: "{}", "mine": "1"},
	}
	remaining := metav1.ObjectMeta{Name: "x", Generation: 7, Annotations: map[string]string{"mine": "1"}}
	conditions := []metav1.Condition{{Type: "Ready"}}
	spec := v1alpha1.ApiKeySpec{DisplayName: "d"}
	tests := map[string]struct{ in, want any }{
		"ApiKey":            {&v1alpha1.ApiKey{ObjectMeta: meta, Spec: spec, Status: v1alpha1.ApiKeyStatus{State: "Active", Conditions: conditions}}, &v1alpha1.ApiKey{ObjectMeta: remaining, Spec: spec}},
		"Workspace":         {&v1alpha1.Workspace{ObjectMeta: meta, Status: v1alpha1.WorkspaceStatus{ID: "a/b"}}, &v1alpha1.Workspace{ObjectMeta: remaining}},
		"ServiceAccount":    {&v1alpha1.ServiceAccount{ObjectMeta: meta, Status: v1alpha1.ServiceAccountStatus{ActiveKeys: 1}}, &v1alpha1.ServiceAccount{ObjectMeta: remaining}},
		"KeyLimit":          {&v1alpha1.KeyLimit{ObjectMeta: meta, Status: v1alpha1.KeyLimitStatus{AttachedKeys: 1}}, &v1alpha1.KeyLimit{ObjectMeta: remaining}},
		"Secret":            {&corev1.Secret{ObjectMeta: meta, Data: map[string][]byte{"hash": {1}}}, &corev1.Secret{ObjectMeta: remaining, Data: map[string][]byte{"hash": {1}}}},
		"a missed deletion": {toolscache.DeletedFinalStateUnknown{Key: "a/b"}, toolscache.DeletedFinalStateUnknown{Key: "a/b"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if o, ok := test.in.(interface {
				SetAnnotations(map[string]string)
				GetAnnotations() map[string]string
			}); ok {
				annotations := map[string]string{}
				for k, v := range o.GetAnnotations() {
					annotations[k] = v
				}
				o.SetAnnotations(annotations)
			}
			for _, when := range []string{"once", "twice"} {
				got, err := slim(test.in)
				if err != nil || !reflect.DeepEqual(got, test.want) {
					t.Errorf("called %s: got %+v, %v, want %+v", when, got, err, test.want)
				}
			}
		})
	}
}
