package feed

import (
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

func TestSlimKeepsWhatTheIndexReadsAndNothingElse(t *testing.T) {
	deleted := metav1.Now()
	full := metav1.ObjectMeta{
		Namespace: "ns", Name: "x", UID: "u", DeletionTimestamp: &deleted, Generation: 7, ResourceVersion: "9",
		Labels: map[string]string{"l": "1"}, Annotations: map[string]string{"a": "1"}, Finalizers: []string{"f"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m"}}, OwnerReferences: []metav1.OwnerReference{{Name: "o"}},
	}
	rest := metav1.ObjectMeta{Namespace: "ns", Name: "x", UID: "u", DeletionTimestamp: &deleted}
	labelled := rest
	labelled.Labels, labelled.Annotations = full.Labels, full.Annotations
	spec := v1alpha1.ApiKeySpec{DisplayName: "d"}
	hash := map[string][]byte{"hash": {1}}
	tests := map[string]struct{ in, want client.Object }{
		"ApiKey":         {&v1alpha1.ApiKey{ObjectMeta: full, Spec: spec, Status: v1alpha1.ApiKeyStatus{State: "Active"}}, &v1alpha1.ApiKey{ObjectMeta: rest, Spec: spec}},
		"Workspace":      {&v1alpha1.Workspace{ObjectMeta: full, Status: v1alpha1.WorkspaceStatus{ID: "a/b"}}, &v1alpha1.Workspace{ObjectMeta: rest}},
		"ServiceAccount": {&v1alpha1.ServiceAccount{ObjectMeta: full, Status: v1alpha1.ServiceAccountStatus{ActiveKeys: 1}}, &v1alpha1.ServiceAccount{ObjectMeta: rest}},
		"KeyLimit":       {&v1alpha1.KeyLimit{ObjectMeta: full, Status: v1alpha1.KeyLimitStatus{AttachedKeys: 1}}, &v1alpha1.KeyLimit{ObjectMeta: rest}},
		"Secret":         {&corev1.Secret{ObjectMeta: full, Data: hash}, &corev1.Secret{ObjectMeta: labelled, Data: hash}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, when := range []string{"once", "twice"} {
				if slim(test.in); !reflect.DeepEqual(test.in, test.want) {
					t.Errorf("called %s: got %+v, want %+v", when, test.in, test.want)
				}
			}
		})
	}
}
