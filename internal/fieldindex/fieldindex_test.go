package fieldindex

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// A fake client answers from the very extractors that Register hands to a cache.
func indexedClient(t *testing.T, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...)
	for _, i := range indexes {
		builder.WithIndex(i.object, i.field, i.extract)
	}
	return builder.Build()
}

func meta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name}
}

func refs(list ...string) (all []v1alpha1.LocalReference) {
	for _, name := range list {
		all = append(all, v1alpha1.LocalReference{Name: name})
	}
	return all
}

func TestIndexesFind(t *testing.T) {
	reader := indexedClient(t,
		&v1alpha1.ApiKey{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "plain", UID: "u1"}, Spec: v1alpha1.ApiKeySpec{
			WorkspaceRef: v1alpha1.LocalReference{Name: "w1"}}},
		&v1alpha1.ApiKey{ObjectMeta: meta("a", "full"), Spec: v1alpha1.ApiKeySpec{
			WorkspaceRef:      v1alpha1.LocalReference{Name: "w1"},
			ServiceAccountRef: &v1alpha1.LocalReference{Name: "s1"},
			LimitRefs:         refs("l1", "l2"),
			Entity:            &v1alpha1.Entity{Kind: v1alpha1.EntityUser, ID: "jane"},
			Delivery:          v1alpha1.Delivery{SecretName: "chosen"}}},
		&v1alpha1.ApiKey{ObjectMeta: meta("a", "agent"), Spec: v1alpha1.ApiKeySpec{
			WorkspaceRef: v1alpha1.LocalReference{Name: "w3"}, Entity: &v1alpha1.Entity{Kind: "Agent", ID: "jane"}}},
		&v1alpha1.ApiKey{ObjectMeta: meta("b", "elsewhere"), Spec: v1alpha1.ApiKeySpec{
			WorkspaceRef: v1alpha1.LocalReference{Name: "w1"}, LimitRefs: refs("l1")}},
		&v1alpha1.ServiceAccount{ObjectMeta: meta("a", "s1"), Spec: v1alpha1.ServiceAccountSpec{
			WorkspaceRef: v1alpha1.LocalReference{Name: "w1"}, LimitRefs: refs("l2")}},
		&v1alpha1.KeyLimit{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "l1", UID: "u2"}},
		&v1alpha1.KeyLimit{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "l2", UID: "u3"}},
		&v1alpha1.Workspace{ObjectMeta: meta("a", "w1"), Spec: v1alpha1.WorkspaceSpec{LimitRefs: refs("l2")}},
	)
	for _, c := range []struct {
		name         string
		list         client.ObjectList
		field, value string
		want         []string
	}{
		{"the keys of a workspace", &v1alpha1.ApiKeyList{}, ApiKeyWorkspace, "w1", []string{"full", "plain"}},
		{"no keys of another workspace", &v1alpha1.ApiKeyList{}, ApiKeyWorkspace, "w2", nil},
		{"the keys of an account", &v1alpha1.ApiKeyList{}, ApiKeyServiceAccount, "s1", []string{"full"}},
		{"a key by each limit it refers to", &v1alpha1.ApiKeyList{}, ApiKeyLimit, "l2", []string{"full"}},
		{"a key by the Secret it names", &v1alpha1.ApiKeyList{}, ApiKeySecret, "chosen", []string{"full"}},
		{"a key by the Secret it does not name", &v1alpha1.ApiKeyList{}, ApiKeySecret, "plain", []string{"plain"}},
		{"the personal tokens of a user", &v1alpha1.ApiKeyList{}, ApiKeyUser, "jane", []string{"full"}},
		{"a key by its ID", &v1alpha1.ApiKeyList{}, ApiKeyUID, "u1", []string{"plain"}},
		{"the accounts of a workspace", &v1alpha1.ServiceAccountList{}, ServiceAccountWorkspace, "w1", []string{"s1"}},
		{"the accounts of a limit", &v1alpha1.ServiceAccountList{}, ServiceAccountLimit, "l2", []string{"s1"}},
		{"a limit by its UID", &v1alpha1.KeyLimitList{}, KeyLimitUID, "u2", []string{"l1"}},
		{"the workspaces of a limit", &v1alpha1.WorkspaceList{}, WorkspaceLimit, "l2", []string{"w1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := reader.List(t.Context(), c.list, client.InNamespace("a"), client.MatchingFields{c.field: c.value})
			if err != nil {
				t.Fatal(err)
			}
			if got := namesIn(c.list); !slices.Equal(got, c.want) {
				t.Errorf("found %v, want %v", got, c.want)
			}
		})
	}
}

func namesIn(list client.ObjectList) (found []string) {
	switch l := list.(type) {
	case *v1alpha1.ApiKeyList:
		for i := range l.Items {
			found = append(found, l.Items[i].Name)
		}
	case *v1alpha1.ServiceAccountList:
		for i := range l.Items {
			found = append(found, l.Items[i].Name)
		}
	case *v1alpha1.KeyLimitList:
		for i := range l.Items {
			found = append(found, l.Items[i].Name)
		}
	case *v1alpha1.WorkspaceList:
		for i := range l.Items {
			found = append(found, l.Items[i].Name)
		}
	}
	slices.Sort(found)
	return found
}
