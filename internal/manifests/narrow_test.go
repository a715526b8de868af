package manifests

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/token"
)

// What is allowed at any moment of a change was allowed before or is allowed after it, and a key
// that stays as it is goes on with what it may in both.
func TestNoMixtureOfTwoStatesIsServed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := drawTenant(t), drawTenant(t)
		x, end := keyindex.New(), keyindex.New()
		for index, s := range map[*keyindex.Index]*state{x: from, end: to} {
			if err := apply(index, newState(), s); err != nil {
				t.Fatal(err)
			}
		}
		before, after := allowed(x), allowed(end)
		unchanged := same(from.keys[tenantName("key")], to.keys[tenantName("key")]) && same(from.accounts[tenantName("robot")], to.accounts[tenantName("robot")])
		for n, step := range steps(x, from, to) {
			if err := step(); err != nil {
				t.Fatal(err)
			}
			for question := range allowed(x) {
				if !before[question] && !after[question] {
					t.Fatalf("after step %d %s is allowed, which neither state allows", n, question)
				}
			}
			for question := range before {
				if unchanged && after[question] && reflect.DeepEqual(from.credentials[tenantKey], to.credentials[tenantKey]) && !allowed(x)[question] {
					t.Fatalf("after step %d %s is refused, which both states allow", n, question)
				}
			}
		}
	})
}

// As above, for readers that look while a step is taken.
func TestReadersSeeNoMixture(t *testing.T) {
	tenant := func(key v1alpha1.Scope, catalogue ...v1alpha1.Scope) *state {
		s := newState()
		addWorkspace(s, catalogue, false)
		for i := range 300 {
			name := fmt.Sprint("k", i)
			k := addKey(s, name, []v1alpha1.Scope{key})
			k.Spec.Metadata = map[string]v1alpha1.MetadataValue{"n": v1alpha1.MetadataValue(name)}
		}
		return s
	}
	before, after := tenant("**", "orders:read"), tenant("orders:read", "orders:read", "orders:delete")
	x := keyindex.New()
	must(t, apply(x, newState(), before))
	done := make(chan error)
	go func() {
		var err error
		for range 20 {
			if err == nil {
				err = apply(x, before, after)
			}
			if err == nil {
				err = apply(x, after, before)
			}
		}
		done <- err
	}()
	for n := 0; ; n++ {
		select {
		case err := <-done:
			must(t, err)
			return
		default:
		}
		var e keyindex.Entry
		if !x.Lookup(tenantHash(fmt.Sprint("k", n%300)), &e) {
			t.Fatal("a key is not known for a moment")
		}
		if policy.Check(&policy.Request{AllOf: []string{"orders:delete"}}, &e.Record, noon) == policy.CodeValid {
			t.Error("orders:delete is allowed, which neither state allows")
		}
		if code := policy.Check(&policy.Request{AllOf: []string{"orders:read"}}, &e.Record, noon); code != policy.CodeValid {
			t.Errorf("orders:read, which both states allow, is answered with %s", code)
		}
	}
}

const tenantUID = "10000000-0000-4000-8000-000000000001"

var tenantKey = credentialID{tenantUID, 1}

func tenantName(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "default", Name: name}
}

func tenantHash(name string) token.Hash { return sha256.Sum256([]byte(name)) }

func addWorkspace(s *state, scopes []v1alpha1.Scope, suspended bool) {
	w := &v1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "shop", UID: "w"}}
	w.Spec.Suspended = suspended
	for _, name := range scopes {
		w.Spec.Scopes = append(w.Spec.Scopes, v1alpha1.ScopeDefinition{Name: name})
	}
	s.workspaces[tenantName("shop")] = w
}

func addKey(s *state, name string, scopes []v1alpha1.Scope) *v1alpha1.ApiKey {
	uid := derivedUID("ApiKey", tenantName(name))
	if name == "key" {
		uid = tenantUID
	}
	k := &v1alpha1.ApiKey{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: uid}}
	k.Spec.WorkspaceRef.Name = "shop"
	k.Spec.Scopes = scopes
	s.keys[tenantName(name)] = k
	s.credentials[credentialID{uid, 1}] = credential.Credential{
		Hash: tenantHash(name), ApiKeyUID: uid, ApiKey: tenantName(name), Generation: 1, IssuedAt: noon.Add(-time.Hour),
	}
	return k
}

func drawTenant(t *rapid.T) *state {
	s := newState()
	flip := rapid.Bool()
	scopes := func(of string) []v1alpha1.Scope {
		all := []v1alpha1.Scope{"a:read", "a:write", "b:read"}
		if of != "catalogue" {
			all = append(all, "**", "*:read")
		}
		return rapid.SliceOfNDistinct(rapid.SampledFrom(all), 0, 3, rapid.ID[v1alpha1.Scope]).Draw(t, of)
	}
	addWorkspace(s, scopes("catalogue"), flip.Draw(t, "workspace suspended"))
	robot := &v1alpha1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "robot", UID: "r"}}
	robot.Spec.WorkspaceRef.Name = "shop"
	robot.Spec.Scopes = scopes("ceiling")
	robot.Spec.Suspended = flip.Draw(t, "account suspended")
	s.accounts[tenantName("robot")] = robot

	k := addKey(s, "key", scopes("key"))
	if flip.Draw(t, "for the account") {
		k.Spec.ServiceAccountRef = &v1alpha1.LocalReference{Name: "robot"}
	}
	for i, list := range [...]*[]v1alpha1.Grant{&k.Spec.Grants, &robot.Spec.Grants} {
		if flip.Draw(t, fmt.Sprint("grants ", i)) {
			*list = []v1alpha1.Grant{{Resource: "r", Scopes: scopes("granted")}}
		}
	}
	k.Spec.AllowedCIDRs = rapid.SampledFrom([][]v1alpha1.CIDR{nil, {"10.0.0.0/8"}, {"10.1.0.0/16"}, {"192.0.2.0/24"}}).Draw(t, "networks")
	k.Spec.State = rapid.SampledFrom([]v1alpha1.KeyState{v1alpha1.KeyActive, v1alpha1.KeyDisabled, v1alpha1.KeyRevoked}).Draw(t, "state")
	end := rapid.SampledFrom([]time.Duration{0, -time.Minute, time.Minute})
	if after := end.Draw(t, "key ends"); after != 0 {
		k.Spec.ExpiresAt = &metav1.Time{Time: noon.Add(after)}
	}
	if flip.Draw(t, "a time to live") {
		k.Spec.TTL = &metav1.Duration{Duration: 90 * time.Minute}
	}
	c := s.credentials[tenantKey]
	if after := end.Draw(t, "credential ends"); after != 0 {
		at := noon.Add(after)
		c.NotAfter = &at
	}
	if flip.Draw(t, "another key") {
		c.Hash = tenantHash("another")
	}
	c.IssuedAt = c.IssuedAt.Add(-end.Draw(t, "issued before") * 60)
	s.credentials[tenantKey] = c
	return s
}

// allowed are the questions that an index says yes to.
func allowed(x *keyindex.Index) map[string]bool {
	yes := map[string]bool{}
	for _, key := range []string{"key", "another"} {
		var e keyindex.Entry
		if !x.Lookup(tenantHash(key), &e) {
			continue
		}
		for _, wanted := range [][]string{nil, {"a:read"}, {"a:write"}, {"b:read"}, {"c:read"}} {
			for _, resource := range []string{"", "r", "other"} {
				for _, client := range []string{"10.1.2.3", "10.2.0.1", "192.0.2.1"} {
					request := policy.Request{AllOf: wanted, Resource: resource, ClientIP: netip.MustParseAddr(client)}
					if policy.Check(&request, &e.Record, noon) == policy.CodeValid {
						yes[fmt.Sprint(key, wanted, resource, client)] = true
					}
				}
			}
		}
	}
	return yes
}
