package validation

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

func TestShapeOfApiKey(t *testing.T) {
	long := func(n int) string { return strings.Repeat("é", n) }
	for _, c := range []struct {
		name   string
		change func(*v1alpha1.ApiKeySpec)
		want   []string
	}{
		{"a full key is valid", func(*v1alpha1.ApiKeySpec) {}, nil},
		{"all that is optional may be left out", func(s *v1alpha1.ApiKeySpec) {
			*s = v1alpha1.ApiKeySpec{WorkspaceRef: s.WorkspaceRef}
		}, nil},
		{"a workspace must be named", func(s *v1alpha1.ApiKeySpec) { s.WorkspaceRef.Name = "" },
			[]string{"spec.workspaceRef.name: name the object"}},
		{"a workspace that cannot exist is refused", func(s *v1alpha1.ApiKeySpec) { s.WorkspaceRef.Name = "The Shop" },
			[]string{"spec.workspaceRef.name: lowercase RFC 1123"}},
		{"an account that cannot exist is refused", func(s *v1alpha1.ApiKeySpec) { s.ServiceAccountRef = ref("team/robot") },
			[]string{"spec.serviceAccountRef.name: lowercase RFC 1123"}},
		{"a display name of 200 characters is no matter of bytes", func(s *v1alpha1.ApiKeySpec) { s.DisplayName = long(200) }, nil},
		{"a display name of 201 characters is too long", func(s *v1alpha1.ApiKeySpec) { s.DisplayName = long(201) },
			[]string{"spec.displayName: 200"}},
		{"a display name is one line", func(s *v1alpha1.ApiKeySpec) { s.DisplayName = "shop\r\nX-Admin: yes" },
			[]string{"spec.displayName: one line"}},
		{"an unknown environment is refused", func(s *v1alpha1.ApiKeySpec) { s.Environment = "prod" },
			[]string{`spec.environment: supported values: "live", "test"`}},
		{"an unknown state is refused", func(s *v1alpha1.ApiKeySpec) { s.State = "Paused" },
			[]string{`spec.state: supported values: "Active", "Disabled", "Revoked"`}},
		{"a prefix of 16 is not too long", func(s *v1alpha1.ApiKeySpec) { s.Prefix = strings.Repeat("a", 16) }, nil},
		{"a prefix of 17 is too long", func(s *v1alpha1.ApiKeySpec) { s.Prefix = strings.Repeat("a", 17) },
			[]string{"spec.prefix: up to 15 more"}},
		{"a prefix begins with a letter", func(s *v1alpha1.ApiKeySpec) { s.Prefix = "1a" }, []string{"spec.prefix: small letter"}},
		{"a prefix has no underscore", func(s *v1alpha1.ApiKeySpec) { s.Prefix = "my_key" }, []string{"spec.prefix: small letter"}},
		{"a malformed scope is refused", func(s *v1alpha1.ApiKeySpec) { s.Scopes = []v1alpha1.Scope{"ok", "not a scope"} },
			[]string{"spec.scopes[1]: between the dots come words"}},
		{"a scope is not listed twice", func(s *v1alpha1.ApiKeySpec) { s.Scopes = []v1alpha1.Scope{"a", "b", "a"} },
			[]string{"spec.scopes[2]: Duplicate"}},
		{"101 scopes are too many", func(s *v1alpha1.ApiKeySpec) {
			s.Scopes = nil
			for i := range 101 {
				s.Scopes = append(s.Scopes, v1alpha1.Scope(fmt.Sprintf("s%d", i)))
			}
		}, []string{"spec.scopes: Too many: 101: must have at most 100"}},
		{"a ttl is at least a second", func(s *v1alpha1.ApiKeySpec) { s.TTL = lasting(999 * time.Millisecond) },
			[]string{"spec.ttl: at least 1s"}},
		{"a key has one end", func(s *v1alpha1.ApiKeySpec) { s.ExpiresAt = in(day) },
			[]string{"spec.ttl: set expiresAt or ttl, not both"}},
		{"17 limits are too many", func(s *v1alpha1.ApiKeySpec) {
			s.LimitRefs = nil
			for i := range 17 {
				s.LimitRefs = append(s.LimitRefs, named(fmt.Sprintf("l%d", i)))
			}
		}, []string{"spec.limitRefs: at most 16"}},
		{"a limit is not named twice", func(s *v1alpha1.ApiKeySpec) { s.LimitRefs = []v1alpha1.LocalReference{named("a"), named("a")} },
			[]string{"spec.limitRefs[1]: Duplicate"}},
		{"a limit that cannot exist is refused", func(s *v1alpha1.ApiKeySpec) { s.LimitRefs = []v1alpha1.LocalReference{named("")} },
			[]string{"spec.limitRefs[0].name: name the object"}},
		{"33 metadata are too many", func(s *v1alpha1.ApiKeySpec) {
			for i := range 32 {
				s.Metadata[fmt.Sprint(i)] = ""
			}
		}, []string{"spec.metadata: at most 32"}},
		{"metadata have names", func(s *v1alpha1.ApiKeySpec) { s.Metadata[""] = "x" }, []string{"spec.metadata: not be empty"}},
		{"a name of metadata may be too long", func(s *v1alpha1.ApiKeySpec) { s.Metadata[long(129)] = "x" },
			[]string{"spec.metadata: 128"}},
		{"metadata may be too long", func(s *v1alpha1.ApiKeySpec) { s.Metadata["tier"] = v1alpha1.MetadataValue(long(513)) },
			[]string{"spec.metadata[tier]: 512"}},
		{"a Secret's name must be possible", func(s *v1alpha1.ApiKeySpec) { s.Delivery.SecretName = "Checkout_Key" },
			[]string{"spec.delivery.secretName: lowercase RFC 1123"}},
		{"an unknown deletion policy is refused", func(s *v1alpha1.ApiKeySpec) { s.Delivery.DeletionPolicy = "Orphan" },
			[]string{"spec.delivery.deletionPolicy: supported values"}},
		{"an unknown answer to a loss is refused", func(s *v1alpha1.ApiKeySpec) { s.Delivery.OnLoss = "Ignore" },
			[]string{"spec.delivery.onLoss: supported values"}},
		{"a label must be possible", func(s *v1alpha1.ApiKeySpec) { s.Delivery.Labels["app"] = "two words" },
			[]string{"spec.delivery.labels: a valid label must be"}},
		{"an annotation must be possible", func(s *v1alpha1.ApiKeySpec) { s.Delivery.Annotations["a/b/c"] = "" },
			[]string{"spec.delivery.annotations: a valid label key must"}},
		{"an annotation may be too long", func(s *v1alpha1.ApiKeySpec) {
			s.Delivery.Annotations["note"] = v1alpha1.AnnotationValue(long(4097))
		}, []string{"spec.delivery.annotations[note]: 4096"}},
		{"Claviger's labels are not to be set", func(s *v1alpha1.ApiKeySpec) { s.Delivery.Labels[v1alpha1.LabelApiKeyUID] = "x" },
			[]string{"spec.delivery.labels: Claviger's own"}},
		{"Claviger's annotations are not to be set", func(s *v1alpha1.ApiKeySpec) { s.Delivery.Annotations[v1alpha1.AnnotationGeneration] = "1" },
			[]string{"spec.delivery.annotations: Claviger's own"}},
		{"several faults are told at once", func(s *v1alpha1.ApiKeySpec) { s.Prefix, s.State = "P", "On" },
			[]string{"spec.prefix: small letter", "spec.state: supported values"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			key := aKey()
			c.change(&key.Spec)
			expect(t, ApiKey(key, References{}, now), c.want...)
		})
	}
}

func TestNetworks(t *testing.T) {
	for _, c := range []struct {
		name    string
		network v1alpha1.CIDR
		want    string
	}{
		{"IPv4", "192.0.2.0/24", ""},
		{"one IPv4 address", "192.0.2.1/32", ""},
		{"all of IPv4", "0.0.0.0/0", ""},
		{"IPv6", "2001:db8::/32", ""},
		{"an address without a length", "192.0.2.1", "write its full length"},
		{"a length that is too long", "192.0.2.0/33", "must be a network"},
		{"no address", "office", "must be a network"},
		{"leading zeros, which some read as octal", "010.0.0.0/8", "must be a network"},
		{"an IPv6 zone", "fe80::%eth0/64", "must be a network"},
		{"bits beyond the mask, which leave open what is meant", "10.1.2.3/8", "write 10.0.0.0/8 for the network or 10.1.2.3/32 for the one address"},
		{"IPv6 bits beyond the mask", "2001:db8::1/32", "write 2001:db8::/32 for the network or 2001:db8::1/128"},
		{"IPv4 written as IPv6, which would never match", "::ffff:10.0.0.0/104", "write the IPv4 network"},
	} {
		t.Run(c.name, func(t *testing.T) {
			key := aKey(func(k *v1alpha1.ApiKey) { k.Spec.AllowedCIDRs = []v1alpha1.CIDR{c.network} })
			if c.want == "" {
				expect(t, ApiKey(key, References{}, now))
				return
			}
			expect(t, ApiKey(key, References{}, now), "spec.allowedCIDRs[0]: "+c.want)
		})
	}
}

func TestChangesOfApiKey(t *testing.T) {
	issued := References{Workspace: aWorkspace(), ServiceAccount: anAccount(), IssuedAt: now.Add(-10 * day)}
	for _, c := range []struct {
		name     string
		old, key *v1alpha1.ApiKey
		refs     References
		want     []string
	}{
		{"renaming is fine", aKey(), aKey(func(k *v1alpha1.ApiKey) { k.Spec.DisplayName = "Till" }), issued, nil},
		{"disabling is fine", aKey(), aKey(withState(v1alpha1.KeyDisabled)), issued, nil},
		{"enabling is fine", aKey(withState(v1alpha1.KeyDisabled)), aKey(), issued, nil},
		{"revoking is fine", aKey(), aKey(withState(v1alpha1.KeyRevoked)), issued, nil},
		{"a revoked key is not made active", aKey(withState(v1alpha1.KeyRevoked)), aKey(), issued,
			[]string{"spec.state: stays revoked"}},
		{"a revoked key is not made disabled", aKey(withState(v1alpha1.KeyRevoked)), aKey(withState(v1alpha1.KeyDisabled)), issued,
			[]string{"spec.state: stays revoked"}},
		{"a revoked key is not revived by leaving the state out", aKey(withState(v1alpha1.KeyRevoked)), aKey(withState("")), issued,
			[]string{"spec.state: stays revoked"}},
		{"the workspace stays", aKey(), aKey(func(k *v1alpha1.ApiKey) { k.Spec.WorkspaceRef.Name = "bank" }), References{},
			[]string{"spec.workspaceRef.name: cannot be changed"}},
		{"the account stays", aKey(ofAccount), aKey(), issued, []string{"spec.serviceAccountRef.name: cannot be changed"}},
		{"an account is not added", aKey(), aKey(ofAccount), issued, []string{"spec.serviceAccountRef.name: cannot be changed"}},
		{"the environment stays", aKey(), aKey(func(k *v1alpha1.ApiKey) { k.Spec.Environment = "test" }), issued,
			[]string{"spec.environment: cannot be changed"}},
		{"live is what no environment is", aKey(), aKey(func(k *v1alpha1.ApiKey) { k.Spec.Environment = "" }), issued, nil},
		{"the prefix stays", aKey(), aKey(func(k *v1alpha1.ApiKey) { k.Spec.Prefix = "" }), issued,
			[]string{"spec.prefix: cannot be changed"}},
		{"the Secret's name stays", aKey(), aKey(func(k *v1alpha1.ApiKey) { k.Spec.Delivery.SecretName = "x" }), issued,
			[]string{"spec.delivery.secretName: cannot be changed"}},
		{"a key is ended now by an end in the past", aKey(), aKey(withEnd(in(-time.Hour))), issued, nil},
		{"one that was not issued yet too", aKey(), aKey(withEnd(in(-time.Hour))), References{}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			expect(t, ApiKeyUpdate(c.old, c.key, c.refs, now), c.want...)
		})
	}
}

func TestOldErrorsDoNotStandInTheWay(t *testing.T) {
	catalogued := References{Workspace: aWorkspace(withCatalogue(define("orders:read")))}
	short := References{Workspace: aWorkspace(func(w *v1alpha1.Workspace) { w.Spec.Keys.MaxTTL = lasting(day) })}
	rename := func(k *v1alpha1.ApiKey) { k.Spec.DisplayName = "renamed" }
	for _, c := range []struct {
		name     string
		old, key *v1alpha1.ApiKey
		refs     References
		want     []string
	}{
		{"a scope that left the catalogue", aKey(withScopes("orders:write")), aKey(withScopes("orders:write"), rename), catalogued, nil},
		{"such a scope that moved in the list", aKey(withScopes("orders:read", "orders:write")),
			aKey(withScopes("orders:write")), catalogued, nil},
		{"but another one beside it is refused", aKey(withScopes("orders:write")), aKey(withScopes("orders:write", "orders:drop")), catalogued,
			[]string{"spec.scopes[1]: not in the catalogue"}},
		{"a ttl that became too long", aKey(), aKey(rename), short, nil},
		{"but a longer one is refused", aKey(), aKey(withTTL(60 * day)), short, []string{"spec.ttl: at most 24h"}},
		{"a malformed field", aKey(func(k *v1alpha1.ApiKey) { k.Spec.AllowedCIDRs = []v1alpha1.CIDR{"10.1.2.3/8"} }),
			aKey(func(k *v1alpha1.ApiKey) { k.Spec.AllowedCIDRs = []v1alpha1.CIDR{"10.1.2.3/8"} }, rename), References{}, nil},
		{"one metadata that is too long does not excuse another", aKey(func(k *v1alpha1.ApiKey) {
			k.Spec.Metadata = map[string]v1alpha1.MetadataValue{"a": v1alpha1.MetadataValue(strings.Repeat("x", 600))}
		}), aKey(func(k *v1alpha1.ApiKey) {
			k.Spec.Metadata = map[string]v1alpha1.MetadataValue{"b": v1alpha1.MetadataValue(strings.Repeat("x", 600))}
		}), References{}, []string{"spec.metadata[b]: 512"}},
		{"one key too many", aKey(), aKey(rename), References{
			Workspace:       aWorkspace(func(w *v1alpha1.Workspace) { w.Spec.Keys.MaxKeys = new(int32); *w.Spec.Keys.MaxKeys = 1 }),
			KeysInWorkspace: 5,
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			expect(t, ApiKeyUpdate(c.old, c.key, c.refs, now), c.want...)
		})
	}
}

// Whatever else is wrong, now or before, and whatever the policy says.
func TestRevokingIsNeverRefused(t *testing.T) {
	strict := References{
		Workspace: aWorkspace(withCatalogue(define("nothing:here")), func(w *v1alpha1.Workspace) {
			w.Spec.Keys.MaxTTL, w.Spec.Keys.MaxKeys = lasting(time.Second), new(int32)
		}),
		ServiceAccount: anAccount(withCeiling("nothing:here"), func(a *v1alpha1.ServiceAccount) { a.Spec.WorkspaceRef.Name = "bank" }),
		KeysOfAccount:  9, KeysInWorkspace: 9,
	}
	broken := func(k *v1alpha1.ApiKey) {
		k.Spec.Scopes = []v1alpha1.Scope{"not a scope"}
		k.Spec.AllowedCIDRs = []v1alpha1.CIDR{"office"}
		k.Spec.ExpiresAt = in(-day)
	}
	expect(t, ApiKeyUpdate(aKey(ofAccount), aKey(ofAccount, broken, withState(v1alpha1.KeyRevoked)), strict, now))
	expect(t, ApiKeyUpdate(aKey(ofAccount, broken), aKey(ofAccount, broken, withState(v1alpha1.KeyRevoked)), strict, now))
	// It may be declared anew in another cluster, too.
	expect(t, ApiKey(aKey(ofAccount, withState(v1alpha1.KeyRevoked), withEnd(in(-day)), withScopes("x")), strict, now))
}

func TestCounts(t *testing.T) {
	ended := func(end *metav1.Time) func(*v1alpha1.ApiKey) {
		return func(k *v1alpha1.ApiKey) { k.Status.ExpiresAt = end }
	}
	for _, c := range []struct {
		name string
		key  *v1alpha1.ApiKey
		want bool
	}{
		{"an active key counts", aKey(), true},
		{"a disabled key counts", aKey(withState(v1alpha1.KeyDisabled)), true},
		{"a revoked key does not", aKey(withState(v1alpha1.KeyRevoked)), false},
		{"a key that ends later counts", aKey(withEnd(in(time.Second)), ended(in(time.Second))), true},
		{"a key that ends now does not", aKey(withEnd(in(0))), false},
		{"a key whose ttl is over does not", aKey(ended(in(-time.Second))), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Counts(c.key, now); got != c.want {
				t.Errorf("counts: %v", got)
			}
		})
	}
}
