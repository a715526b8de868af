package webhook

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

func meta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name}
}

func ref(name string) v1alpha1.LocalReference { return v1alpha1.LocalReference{Name: name} }

func hours(n int) *metav1.Duration { return &metav1.Duration{Duration: time.Duration(n) * time.Hour} }

func key(namespace, name string, changes ...func(*v1alpha1.ApiKeySpec)) *v1alpha1.ApiKey {
	k := &v1alpha1.ApiKey{ObjectMeta: meta(namespace, name), Spec: v1alpha1.ApiKeySpec{WorkspaceRef: ref("shop")}}
	for _, change := range changes {
		change(&k.Spec)
	}
	return k
}

func workspace(namespace, name string, keys v1alpha1.KeyPolicy, scopes ...v1alpha1.ScopeDefinition) *v1alpha1.Workspace {
	return &v1alpha1.Workspace{ObjectMeta: meta(namespace, name), Spec: v1alpha1.WorkspaceSpec{Scopes: scopes, Keys: keys}}
}

func account(namespace, name string, scopes ...v1alpha1.Scope) *v1alpha1.ServiceAccount {
	return &v1alpha1.ServiceAccount{ObjectMeta: meta(namespace, name),
		Spec: v1alpha1.ServiceAccountSpec{WorkspaceRef: ref("shop"), Scopes: scopes}}
}

func narrow(account *v1alpha1.ServiceAccount, resource v1alpha1.Resource, scopes ...v1alpha1.Scope) *v1alpha1.ServiceAccount {
	account.Spec.Grants = append(account.Spec.Grants, v1alpha1.Grant{Resource: resource, Scopes: scopes})
	return account
}

func create(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, object := range objects {
		if err := admin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
}

// fault says whether an error shows, at a field, what is wanted.
func fault(err error, field, want string) error {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || !apierrors.IsInvalid(err) {
		return fmt.Errorf("not refused as invalid: %v", err)
	}
	if !strings.Contains(err.Error(), "admission webhook") {
		return fmt.Errorf("the webhook was not the one who refused: %v", err)
	}
	for _, cause := range status.Status().Details.Causes {
		if cause.Field == field && strings.Contains(cause.Message, want) {
			return nil
		}
	}
	return fmt.Errorf("refused without saying %q at %s: %v", want, field, err)
}

// Each refusal that the schema cannot see to. What it can is tested in test/cel.
func TestRefusals(t *testing.T) {
	const ns = "refusals"
	one := int32(1)
	newNamespace(t, ns)
	create(t,
		workspace(ns, "shop", v1alpha1.KeyPolicy{DefaultTTL: hours(24), MaxTTL: hours(720)},
			v1alpha1.ScopeDefinition{Name: "orders:read"}, v1alpha1.ScopeDefinition{Name: "orders:write", Implies: []v1alpha1.Scope{"orders:read"}}),
		workspace(ns, "strict", v1alpha1.KeyPolicy{MaxTTL: hours(1)}),
		workspace(ns, "full", v1alpha1.KeyPolicy{MaxKeys: &one}),
		account(ns, "reader", "orders:read"),
		account(ns, "busy"),
		narrow(account(ns, "guest"), "property/*", "orders:read"),
		key(ns, "first-of-full", func(s *v1alpha1.ApiKeySpec) { s.WorkspaceRef = ref("full") }),
		key(ns, "first-of-busy", func(s *v1alpha1.ApiKeySpec) { s.ServiceAccountRef = &v1alpha1.LocalReference{Name: "busy"} }),
	)
	of := func(name string) func(*v1alpha1.ApiKeySpec) {
		return func(s *v1alpha1.ApiKeySpec) { s.ServiceAccountRef = &v1alpha1.LocalReference{Name: name} }
	}
	with := func(scopes ...v1alpha1.Scope) func(*v1alpha1.ApiKeySpec) {
		return func(s *v1alpha1.ApiKeySpec) { s.Scopes = scopes }
	}
	to := func(resource v1alpha1.Resource, scopes ...v1alpha1.Scope) func(*v1alpha1.ApiKeySpec) {
		return func(s *v1alpha1.ApiKeySpec) {
			s.Grants = append(s.Grants, v1alpha1.Grant{Resource: resource, Scopes: scopes})
		}
	}
	in := func(name string) func(*v1alpha1.ApiKeySpec) {
		return func(s *v1alpha1.ApiKeySpec) { s.WorkspaceRef = ref(name) }
	}
	for _, c := range []struct {
		name        string
		object      client.Object
		field, want string
	}{
		{"a scope outside the catalogue", key(ns, "new", with("orders:read", "orders:drop")),
			"spec.scopes[1]", `is not in the catalogue of Workspace "shop", which has orders:read, orders:write`},
		{"a scope above the account's ceiling", key(ns, "new", of("reader"), with("orders:write")),
			"spec.scopes[0]", `is more than ServiceAccount "reader" may do, which is orders:read`},
		{"an account's scope outside the catalogue", account(ns, "new", "orders:drop"),
			"spec.scopes[0]", "is not in the catalogue"},
		{"a grant outside the catalogue", key(ns, "new", to("property/1"), to("property/2", "orders:drop")),
			"spec.grants[1].scopes[0]", `is not in the catalogue of Workspace "shop", which has orders:read, orders:write`},
		{"a grant above the account's ceiling", key(ns, "new", of("reader"), to("property/1", "orders:read", "orders:write")),
			"spec.grants[0].scopes[1]", `is more than ServiceAccount "reader" may do, which is orders:read`},
		{"a grant above the account's for the resource", key(ns, "new", of("guest"), with("orders:write"), to("property/1", "orders:write")),
			"spec.grants[0].scopes[0]", `is more than ServiceAccount "guest" may do to property/*, which is orders:read`},
		{"an account's grant outside the catalogue", narrow(account(ns, "new"), "property/*", "orders:drop"),
			"spec.grants[0].scopes[0]", "is not in the catalogue"},
		{"too many scopes in all grants", key(ns, "new", func(s *v1alpha1.ApiKeySpec) {
			for i := range 17 * 32 {
				if i%32 == 0 {
					to(v1alpha1.Resource(fmt.Sprint(i)))(s)
				}
				g := &s.Grants[i/32]
				g.Scopes = append(g.Scopes, v1alpha1.Scope(fmt.Sprintf("*:v%d", i)))
			}
		}), "spec.grants.scopes", "at most 512"},
		{"a scope with ** in the middle", key(ns, "new", with("a.**.b")), "spec.scopes[0]", "must be the last part of the path"},
		{"a ttl over the maximum", key(ns, "new", func(s *v1alpha1.ApiKeySpec) { s.TTL = hours(721) }),
			"spec.ttl", "at most 720h"},
		{"an end over the maximum", key(ns, "new", func(s *v1alpha1.ApiKeySpec) {
			s.ExpiresAt = &metav1.Time{Time: time.Now().Add(721 * time.Hour)}
		}), "spec.expiresAt", "at most 720h"},
		{"no end where there must be one", key(ns, "new", in("strict")), "spec.ttl", "set ttl or expiresAt"},
		{"an end in the past", key(ns, "new", func(s *v1alpha1.ApiKeySpec) {
			s.ExpiresAt = &metav1.Time{Time: time.Now().Add(-time.Hour)}
		}), "spec.expiresAt", "is in the past"},
		{"a network with bits beyond its mask", key(ns, "new", func(s *v1alpha1.ApiKeySpec) {
			s.AllowedCIDRs = []v1alpha1.CIDR{"10.1.2.3/8"}
		}), "spec.allowedCIDRs[0]", "write 10.0.0.0/8 for the network or 10.1.2.3/32 for the one address"},
		{"a Secret's name that cannot be", key(ns, "new", func(s *v1alpha1.ApiKeySpec) { s.Delivery.SecretName = "My_Secret" }),
			"spec.delivery.secretName", "RFC 1123 subdomain"},
		{"an account of another workspace", key(ns, "new", in("full"), of("reader")),
			"spec.serviceAccountRef.name", `belongs to Workspace "shop", and the key to "full"`},
		{"one key too many for the workspace", key(ns, "new", in("full")),
			"spec.workspaceRef", `Workspace "full" may have 1 key and has 1`},
		{"one key too many for the account", key(ns, "new", of("busy")),
			"spec.serviceAccountRef", `ServiceAccount "busy" may have 1 key and has 1`},
		{"a workspace whose catalogue is not well-formed", workspace(ns, "new", v1alpha1.KeyPolicy{},
			v1alpha1.ScopeDefinition{Name: "a", Implies: []v1alpha1.Scope{"**.b"}}), "spec.scopes[0].implies[0]", "must be the last part"},
		{"a burst that hardly ever flows in again", &v1alpha1.KeyLimit{ObjectMeta: meta(ns, "new"), Spec: v1alpha1.KeyLimitSpec{
			Rates: []v1alpha1.Rate{{Requests: 1, Per: *hours(1), Burst: new(int64(1_000_000))}},
		}}, "spec.rates[0].burst", "at most 8784"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// How many keys there are, the webhook learns a moment after the API server.
			err := until(t.Context(), func() error {
				return fault(admin.Create(t.Context(), c.object.DeepCopyObject().(client.Object), client.DryRunAll), c.field, c.want)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRefusedChanges(t *testing.T) {
	const ns = "changes"
	newNamespace(t, ns)
	shop := workspace(ns, "shop", v1alpha1.KeyPolicy{MaxTTL: hours(720)}, v1alpha1.ScopeDefinition{Name: "orders:read"}, v1alpha1.ScopeDefinition{Name: "orders:write"})
	create(t, shop, key(ns, "k", func(s *v1alpha1.ApiKeySpec) {
		s.TTL, s.Scopes = hours(1), []v1alpha1.Scope{"orders:write"}
	}))
	change := func(change func(*v1alpha1.ApiKeySpec)) error {
		var k v1alpha1.ApiKey
		if err := admin.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "k"}, &k); err != nil {
			t.Fatal(err)
		}
		change(&k.Spec)
		return admin.Update(t.Context(), &k)
	}
	if err := fault(change(func(s *v1alpha1.ApiKeySpec) { s.TTL = hours(721) }), "spec.ttl", "at most 720h"); err != nil {
		t.Error(err)
	}
	if err := fault(change(func(s *v1alpha1.ApiKeySpec) { s.Scopes = append(s.Scopes, "orders:drop") }), "spec.scopes[1]", "not in the catalogue"); err != nil {
		t.Error(err)
	}

	// The policy becomes narrower than the key is. That stands in the way of no other change.
	shop.Spec.Keys.MaxTTL, shop.Spec.Scopes = &metav1.Duration{Duration: time.Minute}, shop.Spec.Scopes[:1]
	if err := admin.Update(t.Context(), shop); err != nil {
		t.Fatal(err)
	}
	err := until(t.Context(), func() error {
		return fault(admin.Create(t.Context(), key(ns, "other", func(s *v1alpha1.ApiKeySpec) { s.TTL = hours(1) }), client.DryRunAll), "spec.ttl", "at most 1m")
	})
	if err != nil {
		t.Fatalf("the narrower policy is not applied to new keys: %v", err)
	}
	if err := change(func(s *v1alpha1.ApiKeySpec) { s.DisplayName = "renamed" }); err != nil {
		t.Errorf("renaming is refused: %v", err)
	}
	if err := fault(change(func(s *v1alpha1.ApiKeySpec) { s.TTL = hours(2) }), "spec.ttl", "at most 1m"); err != nil {
		t.Error(err)
	}
	if err := change(func(s *v1alpha1.ApiKeySpec) { s.State, s.TTL = v1alpha1.KeyRevoked, hours(9999) }); err != nil {
		t.Errorf("revoking is refused: %v", err)
	}
	if err := change(func(s *v1alpha1.ApiKeySpec) { s.State = v1alpha1.KeyActive }); !apierrors.IsInvalid(err) {
		t.Errorf("a revoked key was made active again: %v", err)
	}
}

// An issued key's life is counted from when it was issued, however often it is changed.
func TestAnIssuedKeyIsNotLengthenedOverTheMaximum(t *testing.T) {
	const ns = "issued"
	newNamespace(t, ns)
	issued := key(ns, "k", func(s *v1alpha1.ApiKeySpec) { s.TTL = hours(1) })
	create(t, workspace(ns, "shop", v1alpha1.KeyPolicy{MaxTTL: hours(720)}), issued)
	issued.Status.IssuedAt = &metav1.Time{Time: time.Now().Add(-700 * time.Hour)}
	if err := admin.Status().Update(t.Context(), issued); err != nil {
		t.Fatal(err)
	}
	until := func(d time.Duration) error {
		changed := issued.DeepCopy()
		changed.Spec.TTL, changed.Spec.ExpiresAt = nil, &metav1.Time{Time: time.Now().Add(d)}
		return admin.Update(t.Context(), changed, client.DryRunAll)
	}
	if err := until(19 * time.Hour); err != nil {
		t.Errorf("within the maximum from its issue: %v", err)
	}
	if err := fault(until(21*time.Hour), "spec.expiresAt", "at most 720h"); err != nil {
		t.Error(err)
	}
}

func TestRefusedChangesOfOtherKinds(t *testing.T) {
	const ns = "others"
	newNamespace(t, ns)
	robot := account(ns, "robot", "orders:read")
	minute := &v1alpha1.KeyLimit{ObjectMeta: meta(ns, "minute"),
		Spec: v1alpha1.KeyLimitSpec{Rates: []v1alpha1.Rate{{Requests: 1, Per: *hours(1)}}}}
	create(t, workspace(ns, "shop", v1alpha1.KeyPolicy{}, v1alpha1.ScopeDefinition{Name: "orders:read"}), robot, minute)

	robot.Spec.Scopes = append(robot.Spec.Scopes, "orders:drop")
	if err := fault(admin.Update(t.Context(), robot), "spec.scopes[1]", "not in the catalogue"); err != nil {
		t.Error(err)
	}
	robot.Spec.Scopes = robot.Spec.Scopes[:1]
	if err := fault(admin.Update(t.Context(), narrow(robot, "property/*", "orders:drop")), "spec.grants[0].scopes[0]", "not in the catalogue"); err != nil {
		t.Error(err)
	}
	minute.Spec.Rates[0].Burst = new(int64(1_000_000))
	if err := fault(admin.Update(t.Context(), minute), "spec.rates[0].burst", "at most 8784"); err != nil {
		t.Error(err)
	}
	minute.Spec.Rates[0].Burst = new(int64(10))
	if err := admin.Update(t.Context(), minute); err != nil {
		t.Error(err)
	}
}

// Whatever comes first: manifests are applied in any order.
func TestWhatDoesNotExistYet(t *testing.T) {
	const ns = "order"
	newNamespace(t, ns)
	user, given := asUser(t)
	early := key(ns, "early", func(s *v1alpha1.ApiKeySpec) {
		s.ServiceAccountRef = &v1alpha1.LocalReference{Name: "robot"}
		s.LimitRefs = []v1alpha1.LocalReference{ref("minute")}
		s.Scopes = []v1alpha1.Scope{"orders:read"}
	})
	robot := account(ns, "robot", "orders:read")
	robot.Spec.LimitRefs = early.Spec.LimitRefs
	for _, object := range []client.Object{early, robot} {
		if err := user.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{
		`Workspace "shop" does not exist yet: the key is issued once it does`,
		`ServiceAccount "robot" (of keys.claviger.dev) does not exist yet`,
		`KeyLimit "minute" does not exist yet: the key is issued once it does`,
		`KeyLimit "minute" does not exist yet: it limits nothing until it does`,
		`Workspace "shop" does not exist yet: no key is issued for the account until it does`,
	} {
		if !given.has(want) {
			t.Errorf("no warning %q among %q", want, given.texts)
		}
	}
}

// What was applied a moment ago is known, though the cache may not have heard of it.
func TestWhatWasJustAppliedIsKnown(t *testing.T) {
	const ns = "at-once"
	newNamespace(t, ns)
	for i := range 10 {
		shop := fmt.Sprintf("shop-%d", i)
		create(t, workspace(ns, shop, v1alpha1.KeyPolicy{}, v1alpha1.ScopeDefinition{Name: "orders:read"}))
		bold := key(ns, "bold", func(s *v1alpha1.ApiKeySpec) {
			s.WorkspaceRef, s.Scopes = ref(shop), []v1alpha1.Scope{"orders:write"}
		})
		if err := fault(admin.Create(t.Context(), bold, client.DryRunAll), "spec.scopes[0]", "not in the catalogue"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWarnsOfAKeyWithoutAnEnd(t *testing.T) {
	const ns, warning = "endless", "the key never expires"
	newNamespace(t, ns)
	create(t, workspace(ns, "shop", v1alpha1.KeyPolicy{}))
	user, given := asUser(t)
	if err := user.Create(t.Context(), key(ns, "ends", func(s *v1alpha1.ApiKeySpec) { s.TTL = hours(1) })); err != nil {
		t.Fatal(err)
	}
	if len(given.texts) > 0 {
		t.Errorf("a key with an end: %q", given.texts)
	}
	endless := key(ns, "endless")
	if err := user.Create(t.Context(), endless); err != nil {
		t.Fatal(err)
	}
	if !given.has(warning) {
		t.Errorf("no warning %q among %q", warning, given.texts)
	}
	given.texts = nil
	endless.Spec.DisplayName = "renamed"
	if err := user.Update(t.Context(), endless); err != nil {
		t.Fatal(err)
	}
	if given.has(warning) {
		t.Error("warned again of what did not change")
	}
}
