package validation

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func in(d time.Duration) *metav1.Time          { return &metav1.Time{Time: now.Add(d)} }
func lasting(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }
func named(name string) v1alpha1.LocalReference {
	return v1alpha1.LocalReference{Name: name}
}
func ref(name string) *v1alpha1.LocalReference { return &v1alpha1.LocalReference{Name: name} }

// aKey is valid as it is.
func aKey(changes ...func(*v1alpha1.ApiKey)) *v1alpha1.ApiKey {
	key := &v1alpha1.ApiKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "key"},
		Spec: v1alpha1.ApiKeySpec{
			WorkspaceRef: named("shop"),
			DisplayName:  "Checkout, São Paulo",
			Environment:  v1alpha1.EnvironmentLive,
			Prefix:       "pat",
			Scopes:       []v1alpha1.Scope{"orders:read"},
			Entity:       &v1alpha1.Entity{Kind: "Agent", ID: "agent-7", Department: "sales"},
			TTL:          lasting(30 * day),
			State:        v1alpha1.KeyActive,
			LimitRefs:    []v1alpha1.LocalReference{named("minute")},
			AllowedCIDRs: []v1alpha1.CIDR{"10.0.0.0/8", "2001:db8::/32"},
			Metadata:     map[string]v1alpha1.MetadataValue{"tier": "gold"},
			Delivery: v1alpha1.Delivery{
				SecretName:     "checkout-key",
				Labels:         map[string]v1alpha1.LabelValue{"app": "checkout"},
				Annotations:    map[string]v1alpha1.AnnotationValue{"example.com/Note": "any text"},
				DeletionPolicy: v1alpha1.DeletionDelete,
				OnLoss:         v1alpha1.OnLossRotate,
			},
		},
	}
	for _, change := range changes {
		change(key)
	}
	return key
}

// aWorkspace is valid as it is and bounds nothing.
func aWorkspace(changes ...func(*v1alpha1.Workspace)) *v1alpha1.Workspace {
	workspace := &v1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop"}}
	for _, change := range changes {
		change(workspace)
	}
	return workspace
}

// anAccount is valid as it is and bounds nothing but the number of its keys, to one.
func anAccount(changes ...func(*v1alpha1.ServiceAccount)) *v1alpha1.ServiceAccount {
	account := &v1alpha1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "robot"},
		Spec:       v1alpha1.ServiceAccountSpec{WorkspaceRef: named("shop"), MaxActiveKeys: 1},
	}
	for _, change := range changes {
		change(account)
	}
	return account
}

func withCatalogue(definitions ...v1alpha1.ScopeDefinition) func(*v1alpha1.Workspace) {
	return func(w *v1alpha1.Workspace) { w.Spec.Scopes = definitions }
}

func define(name v1alpha1.Scope, implies ...v1alpha1.Scope) v1alpha1.ScopeDefinition {
	return v1alpha1.ScopeDefinition{Name: name, Implies: implies}
}

func withScopes(scopes ...v1alpha1.Scope) func(*v1alpha1.ApiKey) {
	return func(k *v1alpha1.ApiKey) { k.Spec.Scopes = scopes }
}

func withCeiling(scopes ...v1alpha1.Scope) func(*v1alpha1.ServiceAccount) {
	return func(a *v1alpha1.ServiceAccount) { a.Spec.Scopes = scopes }
}

func withGrants(grants ...v1alpha1.Grant) func(*v1alpha1.ApiKey) {
	return func(k *v1alpha1.ApiKey) { k.Spec.Grants = grants }
}

func withAccountGrants(grants ...v1alpha1.Grant) func(*v1alpha1.ServiceAccount) {
	return func(a *v1alpha1.ServiceAccount) { a.Spec.Grants = grants }
}

func grant(resource v1alpha1.Resource, scopes ...v1alpha1.Scope) v1alpha1.Grant {
	return v1alpha1.Grant{Resource: resource, Scopes: scopes}
}

func ofAccount(k *v1alpha1.ApiKey) { k.Spec.ServiceAccountRef = ref("robot") }

func withState(state v1alpha1.KeyState) func(*v1alpha1.ApiKey) {
	return func(k *v1alpha1.ApiKey) { k.Spec.State = state }
}

func withTTL(d time.Duration) func(*v1alpha1.ApiKey) {
	return func(k *v1alpha1.ApiKey) { k.Spec.TTL, k.Spec.ExpiresAt = lasting(d), nil }
}

func withEnd(end *metav1.Time) func(*v1alpha1.ApiKey) {
	return func(k *v1alpha1.ApiKey) { k.Spec.TTL, k.Spec.ExpiresAt = nil, end }
}

// expect compares errors with what is wanted of them, each "field: part of the text", in any order.
func expect(t *testing.T, errs field.ErrorList, want ...string) {
	t.Helper()
	var unwanted []string
	for _, e := range errs {
		i := slices.IndexFunc(want, func(w string) bool {
			at, text, _ := strings.Cut(w, ": ")
			return e.Field == at && strings.Contains(e.ErrorBody(), text)
		})
		if i < 0 {
			unwanted = append(unwanted, e.Error())
			continue
		}
		want = slices.Delete(slices.Clone(want), i, i+1)
	}
	for _, e := range unwanted {
		t.Errorf("unexpected error %s", e)
	}
	for _, w := range want {
		t.Errorf("no error %s", w)
	}
}
