package webhook

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

type (
	scopes = []v1alpha1.Scope
	grants = []v1alpha1.Grant
)

const (
	hashOfTest  = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	hashOfOther = "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa"
	janes       = "age1pjh25evgl79ughyrdu6qyl4ncfqe3jurwaz696cn62ysppgqm53qpuwxpd"
	johns       = "age17u2l07th6xurh6vgvyrfrsnlcg6r690uqsnu9v7uaff4ymlt8v6qv98r4v"
)

// delegating has a workspace that requires delegation, an owner who may grant everything, a keeper who may grant
// orders:read alone, and a planner who may change Workspaces and grant nothing.
func delegating(t *testing.T, ns string) *v1alpha1.Workspace {
	t.Helper()
	newNamespace(t, ns)
	shop := workspace(ns, "shop", v1alpha1.KeyPolicy{Delegation: v1alpha1.DelegationRequired},
		v1alpha1.ScopeDefinition{Name: "orders:read"}, v1alpha1.ScopeDefinition{Name: "orders:write"}, v1alpha1.ScopeDefinition{Name: "orders:drop"})
	create(t, shop)
	bind(t, ns, "claviger-workspace-owner", "owner")
	bind(t, ns, "claviger-key-admin", "keeper")
	allow(t, ns, ns+"-accounts", rbacv1.PolicyRule{
		Verbs: []string{"create", "update", "patch"}, APIGroups: []string{"keys.claviger.dev"}, Resources: []string{"serviceaccounts"},
	}, "keeper")
	allow(t, ns, ns+"-readers", rbacv1.PolicyRule{
		Verbs: []string{"grant"}, APIGroups: []string{"keys.claviger.dev"}, Resources: []string{"scopes"}, ResourceNames: []string{"orders:read"},
	}, "keeper")
	allow(t, ns, ns+"-planners", rbacv1.PolicyRule{
		Verbs: []string{"get", "update"}, APIGroups: []string{"keys.claviger.dev"}, Resources: []string{"workspaces"},
	}, "planner")
	for user, object := range map[string]client.Object{
		"owner":  key(ns, "new", func(s *v1alpha1.ApiKeySpec) { s.Scopes = scopes{"orders:drop"} }),
		"keeper": key(ns, "new", func(s *v1alpha1.ApiKeySpec) { s.Scopes = scopes{"orders:read"} }),
	} {
		if err := until(t.Context(), func() error { return as(t, user).Create(t.Context(), object, client.DryRunAll) }); err != nil {
			t.Fatalf("%s: %v", user, err)
		}
	}
	return shop
}

func TestNobodyGivesANewKeyWhatHeMayNotGrant(t *testing.T) {
	const ns = "delegation"
	delegating(t, ns)
	keeper, owner := as(t, "keeper"), as(t, "owner")
	with := func(change func(*v1alpha1.ApiKeySpec)) client.Object { return key(ns, "new", change) }
	robot := func(change func(*v1alpha1.ServiceAccountSpec)) client.Object {
		a := account(ns, "robot")
		change(&a.Spec)
		return a
	}
	for _, c := range []struct {
		name   string
		object client.Object
		field  string // empty: it is his to give
		want   string
	}{
		{"a key without scopes", key(ns, "new"), "", ""},
		{"a key with his scope", with(func(s *v1alpha1.ApiKeySpec) { s.Scopes = scopes{"orders:read"} }), "", ""},
		{"a key with another scope", with(func(s *v1alpha1.ApiKeySpec) { s.Scopes = scopes{"orders:read", "orders:write"} }),
			"spec.scopes[1]", `"keeper" may not grant the scope "orders:write": ask for less, or ask somebody who has the verb grant on scopes.keys.claviger.dev in this namespace, as the role claviger-workspace-owner has`},
		{"a key with a wildcard", with(func(s *v1alpha1.ApiKeySpec) { s.Scopes = scopes{"orders:*"} }), "spec.scopes[0]", `"orders:*"`},
		{"a key with a grant of his scope", with(func(s *v1alpha1.ApiKeySpec) {
			s.Grants = grants{{Resource: "property/1", Scopes: scopes{"orders:read"}}}
		}), "", ""},
		{"a key with another grant", with(func(s *v1alpha1.ApiKeySpec) {
			s.Grants = grants{{Resource: "property/1"}, {Resource: "property/2", Scopes: scopes{"orders:read", "orders:drop"}}}
		}), "spec.grants[1].scopes[1]", `"orders:drop"`},
		{"an account without a ceiling", account(ns, "robot"), "", ""},
		{"an account with a higher ceiling", account(ns, "robot", "orders:write"), "spec.scopes[0]", `"orders:write"`},
		{"an account with a higher ceiling somewhere", narrow(account(ns, "robot", "orders:read"), "property/*", "orders:write"), "spec.grants[0].scopes[0]", `"orders:write"`},
		{"an account with a token under a ceiling", robot(func(s *v1alpha1.ServiceAccountSpec) {
			s.Scopes, s.Token = scopes{"orders:read"}, &v1alpha1.AccountToken{}
		}), "", ""},
		{"an account with a token under none", robot(func(s *v1alpha1.ServiceAccountSpec) { s.Token = &v1alpha1.AccountToken{} }),
			"spec.scopes", "may not grant every scope, which this amounts to"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := keeper.Create(t.Context(), c.object.DeepCopyObject().(client.Object), client.DryRunAll)
			if c.field != "" {
				err = fault(err, c.field, c.want)
			}
			if err != nil {
				t.Error(err)
			}
			if err := owner.Create(t.Context(), c.object, client.DryRunAll); err != nil {
				t.Errorf("and the owner: %v", err)
			}
		})
	}
}

func TestNobodyAddsToAKeyWhatHeMayNotGrant(t *testing.T) {
	const ns = "delegation-changes"
	delegating(t, ns)
	keeper, owner := as(t, "keeper"), as(t, "owner")
	plain := key(ns, "plain", func(s *v1alpha1.ApiKeySpec) {
		s.Scopes = scopes{"orders:write"}
		s.Grants = grants{{Resource: "property/*", Scopes: scopes{"orders:drop"}}, {Resource: "property/secret"}}
	})
	hashed := key(ns, "hashed", func(s *v1alpha1.ApiKeySpec) {
		s.Scopes, s.Source = scopes{"orders:write"}, &v1alpha1.Source{SHA256: hashOfTest}
	})
	sealed := key(ns, "sealed", func(s *v1alpha1.ApiKeySpec) {
		s.Scopes, s.Delivery = scopes{"orders:write"}, v1alpha1.Delivery{Type: v1alpha1.DeliverySealed, Recipients: []v1alpha1.Recipient{janes, johns}}
	})
	robot := narrow(account(ns, "robot", "orders:write"), "property/secret")
	for _, object := range []client.Object{plain, hashed, sealed, robot} {
		if err := owner.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	type spec = *v1alpha1.ApiKeySpec
	for _, c := range []struct {
		name        string
		key         *v1alpha1.ApiKey
		change      func(spec)
		field, want string
	}{
		{"renaming", plain, func(s spec) { s.DisplayName = "renamed" }, "", ""},
		{"his scope", plain, func(s spec) { s.Scopes = append(s.Scopes, "orders:read") }, "", ""},
		{"taking a scope away", plain, func(s spec) { s.Scopes = nil }, "", ""},
		{"another scope", plain, func(s spec) { s.Scopes = append(s.Scopes, "orders:drop") }, "spec.scopes[1]", `"orders:drop"`},
		{"a scope that the key has elsewhere", plain, func(s spec) { s.Grants[1].Scopes = scopes{"orders:drop"} }, "spec.grants[1].scopes[0]", `"orders:drop"`},
		{"a grant that is narrower than what held", plain, func(s spec) {
			s.Grants = append(s.Grants, v1alpha1.Grant{Resource: "property/1", Scopes: scopes{"orders:drop"}})
		}, "", ""},
		{"removing a grant that was in the way of a wider one", plain, func(s spec) { s.Grants = s.Grants[:1] }, "spec.grants", `"orders:drop"`},
		{"removing a grant that was in the way of the scopes", plain, func(s spec) { s.Grants = s.Grants[1:] }, "spec.grants", `"orders:write"`},
		{"another hash", hashed, func(s spec) { s.Source.SHA256 = hashOfOther }, "spec.scopes[0]", `"orders:write"`},
		{"a key in a Secret in place of the hash", hashed, func(s spec) {
			s.Source = &v1alpha1.Source{SecretRef: &v1alpha1.SecretKeyReference{Name: "mine"}}
		}, "spec.scopes[0]", `"orders:write"`},
		{"a hint", hashed, func(s spec) { s.Source.Hint = "ak_live_…x7Qz" }, "", ""},
		{"fewer recipients", sealed, func(s spec) { s.Delivery.Recipients = s.Delivery.Recipients[:1] }, "", ""},
		{"another recipient", sealed, func(s spec) {
			s.Delivery.Recipients = []v1alpha1.Recipient{"age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg"}
		}, "spec.scopes[0]", `"orders:write"`},
		{"taking a Secret over", plain, func(s spec) { s.Delivery.Existing = v1alpha1.ExistingAdopt }, "spec.scopes[0]", `"orders:write"`},
		{"disabling", plain, func(s spec) { s.State = v1alpha1.KeyDisabled }, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed := c.key.DeepCopy()
			c.change(&changed.Spec)
			judge(t, keeper, owner, changed, c.field, c.want)
		})
	}
	type accountSpec = *v1alpha1.ServiceAccountSpec
	for _, c := range []struct {
		name        string
		change      func(accountSpec)
		field, want string
	}{
		{"renaming an account", func(s accountSpec) { s.DisplayName = "renamed" }, "", ""},
		{"raising the ceiling", func(s accountSpec) { s.Scopes = append(s.Scopes, "orders:drop") }, "spec.scopes[1]", `"orders:drop"`},
		{"taking the ceiling away", func(s accountSpec) { s.Scopes = nil }, "spec.scopes", "every scope"},
		{"raising the ceiling somewhere", func(s accountSpec) { s.Grants = nil }, "spec.grants", `"orders:write"`},
		{"a token", func(s accountSpec) { s.Token = &v1alpha1.AccountToken{} }, "spec.scopes[0]", `"orders:write"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed := robot.DeepCopy()
			c.change(&changed.Spec)
			judge(t, keeper, owner, changed, c.field, c.want)
		})
	}
}

// judge has the keeper make a change, which is refused at a field if one is named, and the owner, who may.
func judge(t *testing.T, keeper, owner client.Client, changed client.Object, field, want string) {
	t.Helper()
	err := keeper.Update(t.Context(), changed.DeepCopyObject().(client.Object), client.DryRunAll)
	if field != "" {
		err = fault(err, field, want)
	}
	if err != nil {
		t.Error(err)
	}
	if err := owner.Update(t.Context(), changed, client.DryRunAll); err != nil {
		t.Errorf("and the owner: %v", err)
	}
}

func TestDelegationIsNotTurnedOffByWhoMayGrantNothing(t *testing.T) {
	const ns = "delegation-off"
	shop := delegating(t, ns)
	planner, owner := as(t, "planner"), as(t, "owner")
	for _, c := range []struct {
		name        string
		change      func(*v1alpha1.WorkspaceSpec)
		field, want string
	}{
		{"renaming", func(s *v1alpha1.WorkspaceSpec) { s.DisplayName = "renamed" }, "", ""},
		{"a scope that implies nothing", func(s *v1alpha1.WorkspaceSpec) {
			s.Scopes = append(s.Scopes, v1alpha1.ScopeDefinition{Name: "orders:see"})
		}, "", ""},
		{"turning it off", func(s *v1alpha1.WorkspaceSpec) { s.Keys.Delegation = v1alpha1.DelegationNone }, "spec.keys.delegation", "every scope"},
		{"turning it off by saying nothing", func(s *v1alpha1.WorkspaceSpec) { s.Keys.Delegation = "" }, "spec.keys.delegation", "every scope"},
		{"having a scope imply another", func(s *v1alpha1.WorkspaceSpec) { s.Scopes[0].Implies = scopes{"orders:drop"} }, "spec.scopes[0].implies[0]", `"orders:drop"`},
		{"a new scope that implies another", func(s *v1alpha1.WorkspaceSpec) {
			s.Scopes = append(s.Scopes, v1alpha1.ScopeDefinition{Name: "all", Implies: scopes{"orders:drop"}})
		}, "spec.scopes[3].implies[0]", `"orders:drop"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed := shop.DeepCopy()
			c.change(&changed.Spec)
			// What a role gives is known a moment later.
			err := until(t.Context(), func() error {
				return planner.Get(t.Context(), client.ObjectKeyFromObject(shop), &v1alpha1.Workspace{})
			})
			if err != nil {
				t.Fatal(err)
			}
			judge(t, planner, owner, changed, c.field, c.want)
		})
	}
}

func TestWithoutDelegationNobodyIsAsked(t *testing.T) {
	const ns = "delegation-none"
	newNamespace(t, ns)
	create(t, workspace(ns, "shop", v1alpha1.KeyPolicy{Delegation: v1alpha1.DelegationNone}))
	bind(t, ns, "claviger-key-admin", "keeper")
	if err := until(t.Context(), func() error {
		return as(t, "keeper").Create(t.Context(), key(ns, "new", func(s *v1alpha1.ApiKeySpec) { s.Scopes = scopes{"**"} }), client.DryRunAll)
	}); err != nil {
		t.Error(err)
	}
}

// A catalogue's worth of scopes is asked about one by one, and the webhook still answers in time.
func TestManyScopesAreAskedAbout(t *testing.T) {
	const ns = "delegation-many"
	shop := delegating(t, ns)
	shop.Spec.Scopes = nil
	if err := admin.Update(t.Context(), shop); err != nil {
		t.Fatal(err)
	}
	many := key(ns, "many", func(s *v1alpha1.ApiKeySpec) { s.Scopes = scopes{"orders:read"} })
	for i := range 16 {
		g := v1alpha1.Grant{Resource: v1alpha1.Resource('a' + rune(i))}
		for j := range 32 {
			g.Scopes = append(g.Scopes, v1alpha1.Scope("s"+string('a'+rune(i))+string('A'+rune(j%26))+string('a'+rune(j/26))+":read"))
		}
		many.Spec.Grants = append(many.Spec.Grants, g)
	}
	err := until(t.Context(), func() error { // the catalogue is gone in the cache, too
		return fault(as(t, "keeper").Create(t.Context(), many.DeepCopy(), client.DryRunAll), "spec.grants[15].scopes[31]", "may not grant")
	})
	if err != nil {
		t.Error(err)
	}
}
