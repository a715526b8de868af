package webhook

import (
	"fmt"
	"slices"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

var (
	reading  = []string{"get", "list", "watch"}
	writing  = []string{"create", "update", "patch", "delete", "deletecollection"}
	allKinds = []string{"workspaces", "apikeys", "serviceaccounts", "keylimits"}
)

// may asks the API server what a user may do in a namespace.
func may(t *testing.T, user, namespace, verb, group, resource, subresource string) bool {
	t.Helper()
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: verb, Group: group, Resource: resource, Subresource: subresource,
		},
	}}
	if err := admin.Create(t.Context(), review); err != nil {
		t.Fatal(err)
	}
	return review.Status.Allowed
}

// The roles that are shipped, and Kubernetes' own that they are part of.
func TestWhoMayDoWhat(t *testing.T) {
	const ns = "roles"
	newNamespace(t, ns)
	keys := []string{"apikeys"}
	for _, c := range []struct {
		role    string
		writes  []string
		grants  bool
		secrets []string // nil: not asked, where the role is not ours
		own     bool
	}{
		{"claviger-workspace-owner", allKinds, true, []string{}, true},
		{"claviger-key-admin", keys, false, []string{}, true},
		{"claviger-key-user", nil, false, []string{"get"}, true},
		{"claviger-key-viewer", nil, false, []string{}, true},
		{"admin", allKinds, true, nil, false},
		{"edit", nil, false, nil, false},
		{"view", nil, false, nil, false},
	} {
		t.Run(c.role, func(t *testing.T) {
			user := "has-" + c.role
			bind(t, ns, c.role, user)
			// Bindings and aggregated roles are known a moment later.
			if err := until(t.Context(), func() error {
				if !may(t, user, ns, "watch", "keys.claviger.dev", "keylimits", "") {
					return fmt.Errorf("%s may not watch KeyLimits", user)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			for _, kind := range allKinds {
				for _, verb := range reading {
					if !may(t, user, ns, verb, "keys.claviger.dev", kind, "") {
						t.Errorf("may not %s %s", verb, kind)
					}
				}
				for _, verb := range writing {
					if got, want := may(t, user, ns, verb, "keys.claviger.dev", kind, ""), slices.Contains(c.writes, kind); got != want {
						t.Errorf("may %s %s: %v, want %v", verb, kind, got, want)
					}
					if may(t, user, ns, verb, "keys.claviger.dev", kind, "status") {
						t.Errorf("may %s the status of %s, which is for Claviger alone", verb, kind)
					}
				}
			}
			if got := may(t, user, ns, "grant", "keys.claviger.dev", "scopes", ""); got != c.grants {
				t.Errorf("may grant scopes: %v, want %v", got, c.grants)
			}
			for _, verb := range slices.Concat(reading, writing) {
				if got := may(t, user, ns, verb, "", "secrets", ""); c.own && got != slices.Contains(c.secrets, verb) {
					t.Errorf("may %s Secrets: %v", verb, got)
				}
			}
			if may(t, user, "default", "get", "keys.claviger.dev", "apikeys", "") {
				t.Error("and that in a namespace where nobody bound it")
			}
		})
	}
}

func TestOnlyAnAdminMayMakeKeys(t *testing.T) {
	const ns = "makers"
	newNamespace(t, ns)
	create(t, workspace(ns, "shop", v1alpha1.KeyPolicy{}))
	for role, makes := range map[string]bool{
		"admin": true, "claviger-key-admin": true, "claviger-workspace-owner": true,
		"edit": false, "view": false, "claviger-key-user": false, "claviger-key-viewer": false,
	} {
		user := as(t, "is-"+role)
		bind(t, ns, role, "is-"+role)
		if err := until(t.Context(), func() error { return user.List(t.Context(), &v1alpha1.ApiKeyList{}, client.InNamespace(ns)) }); err != nil {
			t.Fatalf("%s cannot see keys: %v", role, err)
		}
		err := user.Create(t.Context(), key(ns, "made-by-"+role))
		if makes && err != nil {
			t.Errorf("%s: %v", role, err)
		}
		if !makes && !apierrors.IsForbidden(err) {
			t.Errorf("%s may make keys: %v", role, err)
		}
	}
}

// It makes the keys of accounts whose scopes somebody was asked about already.
func TestTheOperatorMayGrantEveryScope(t *testing.T) {
	if !may(t, "system:serviceaccount:"+namespace+":claviger-operator", "default", "grant", "keys.claviger.dev", "scopes", "") {
		t.Error("it may not")
	}
}
