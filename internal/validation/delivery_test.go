package validation

import (
	"strings"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

const (
	janes      = "age1pjh25evgl79ughyrdu6qyl4ncfqe3jurwaz696cn62ysppgqm53qpuwxpd"
	hashOfTest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	identity   = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
)

func withDelivery(d v1alpha1.Delivery) func(*v1alpha1.ApiKey) {
	return func(k *v1alpha1.ApiKey) { k.Spec.Delivery = d }
}

func sealedTo(recipients ...v1alpha1.Recipient) v1alpha1.Delivery {
	return v1alpha1.Delivery{Type: v1alpha1.DeliverySealed, Recipients: recipients}
}

func withSource(s v1alpha1.Source) func(*v1alpha1.ApiKey) {
	return func(k *v1alpha1.ApiKey) { k.Spec.Source = &s }
}

func withRotation(r v1alpha1.Rotation) func(*v1alpha1.ApiKey) {
	return func(k *v1alpha1.ApiKey) { k.Spec.Rotation = &r }
}

func TestDeliveries(t *testing.T) {
	for _, c := range []struct {
		name     string
		delivery v1alpha1.Delivery
		want     []string
	}{
		{"into a Secret", v1alpha1.Delivery{}, nil},
		{"sealed", sealedTo(janes), nil},
		{"a Secret that is there", v1alpha1.Delivery{Existing: v1alpha1.ExistingAdopt}, nil},
		{"another way", v1alpha1.Delivery{Type: "Mail"}, []string{"spec.delivery.type: supported values"}},
		{"another answer", v1alpha1.Delivery{Existing: "Overwrite"}, []string{"spec.delivery.existing: supported values"}},
		{"sealed to nobody", sealedTo(), []string{"spec.delivery.recipients: name the age public keys"}},
		{"recipients of a Secret", v1alpha1.Delivery{Recipients: []v1alpha1.Recipient{janes}}, []string{"spec.delivery.recipients: set type Sealed"}},
		{"sealed to one twice", sealedTo(janes, janes), []string{"spec.delivery.recipients[1]: Duplicate"}},
		{"sealed to what is none", sealedTo(janes, v1alpha1.Recipient(janes[:30])), []string{"spec.delivery.recipients[1]: no age public key"}},
		{"sealed to an identity", sealedTo(identity), []string{"spec.delivery.recipients[0]: no age public key"}},
		{"sealed, and what a Secret has", v1alpha1.Delivery{Type: v1alpha1.DeliverySealed, Recipients: []v1alpha1.Recipient{janes}, SecretName: "s",
			Labels: map[string]v1alpha1.LabelValue{"a": "b"}, Annotations: map[string]v1alpha1.AnnotationValue{"a": "b"}, Existing: v1alpha1.ExistingAdopt},
			[]string{"spec.delivery.secretName: is in no Secret", "spec.delivery.labels: is in no Secret",
				"spec.delivery.annotations: is in no Secret", "spec.delivery.existing: is in no Secret"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			errs := ApiKey(aKey(withDelivery(c.delivery)), References{}, now)
			expect(t, errs, c.want...)
			for _, e := range errs {
				if strings.Contains(e.Error(), identity) {
					t.Error("an identity is quoted")
				}
			}
		})
	}
}

func TestRotations(t *testing.T) {
	d := lasting
	for _, c := range []struct {
		name     string
		rotation v1alpha1.Rotation
		changes  []func(*v1alpha1.ApiKey)
		want     []string
	}{
		{"none of it", v1alpha1.Rotation{}, nil, nil},
		{"all of it", v1alpha1.Rotation{Every: d(7 * day), Overlap: d(day), EndWhenUnusedFor: d(time.Hour), KeepPrevious: true}, nil, nil},
		{"too often", v1alpha1.Rotation{Every: d(59 * time.Second)}, nil, []string{"spec.rotation.every: at least 1m"}},
		{"too short overlaps", v1alpha1.Rotation{Overlap: d(time.Millisecond), EndWhenUnusedFor: d(0)}, nil,
			[]string{"spec.rotation.overlap: at least 1s", "spec.rotation.endWhenUnusedFor: at least 1s"}},
		{"an overlap as long as every", v1alpha1.Rotation{Every: d(day), Overlap: d(day)}, nil, []string{"spec.rotation.overlap: shorter than every, which is 24h"}},
		{"ending early what is not", v1alpha1.Rotation{EndWhenUnusedFor: d(day)}, nil, []string{"spec.rotation.overlap: set overlap, too"}},
		{"keeping what is not", v1alpha1.Rotation{KeepPrevious: true}, nil, []string{"spec.rotation.overlap: set overlap, too"}},
		{"keeping a sealed key", v1alpha1.Rotation{Overlap: d(day), KeepPrevious: true}, []func(*v1alpha1.ApiKey){withDelivery(sealedTo(janes))},
			[]string{"spec.rotation.keepPrevious: remove it"}},
		{"after the end", v1alpha1.Rotation{Every: d(30 * day)}, nil, []string{"spec.rotation.every: shorter than ttl, which is 720h"}},
		{"after an end by date, which stays", v1alpha1.Rotation{Every: d(30 * day)}, []func(*v1alpha1.ApiKey){withEnd(in(day))}, nil},
		{"by time, of what is brought along", v1alpha1.Rotation{Every: d(day)}, []func(*v1alpha1.ApiKey){withSource(v1alpha1.Source{SHA256: hashOfTest})},
			[]string{"spec.rotation.every: brought along"}},
		{"with an overlap, of what is brought along", v1alpha1.Rotation{Overlap: d(day)}, []func(*v1alpha1.ApiKey){withSource(v1alpha1.Source{SHA256: hashOfTest})}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			expect(t, ApiKey(aKey(append(c.changes, withRotation(c.rotation))...), References{}, now), c.want...)
		})
	}
	t.Run("after the end that the workspace sets", func(t *testing.T) {
		key := aKey(withRotation(v1alpha1.Rotation{Every: d(day)}), withEnd(nil))
		shop := aWorkspace(func(w *v1alpha1.Workspace) { w.Spec.Keys.DefaultTTL = d(day) })
		expect(t, ApiKey(key, References{Workspace: shop}, now), "spec.rotation.every: the defaultTTL of Workspace \"shop\", which is 24h")
		shop.Spec.Keys.DefaultTTL = d(day + time.Second)
		expect(t, ApiKey(key, References{Workspace: shop}, now))
	})
}

func TestSources(t *testing.T) {
	named := func(name, key string) *v1alpha1.SecretKeyReference {
		return &v1alpha1.SecretKeyReference{Name: name, Key: key}
	}
	for _, c := range []struct {
		name   string
		source v1alpha1.Source
		want   []string
	}{
		{"a Secret", v1alpha1.Source{SecretRef: named("old", "")}, nil},
		{"a hash", v1alpha1.Source{SHA256: hashOfTest}, nil},
		{"a hash and a hint", v1alpha1.Source{SHA256: hashOfTest, Hint: "ak_test_…x7Qz"}, nil},
		{"neither", v1alpha1.Source{}, []string{"spec.source: one of them"}},
		{"both", v1alpha1.Source{SecretRef: named("old", "k"), SHA256: hashOfTest}, []string{"spec.source: one of them"}},
		{"a hint of a Secret's", v1alpha1.Source{SecretRef: named("old", "k"), Hint: "ak_live_…x7Qz"}, []string{"spec.source.hint: goes with sha256"}},
		{"a Secret that cannot be", v1alpha1.Source{SecretRef: named("Old", "a b")},
			[]string{"spec.source.secretRef.name: lowercase RFC 1123", "spec.source.secretRef.key: a valid config key"}},
		{"a Secret without a name", v1alpha1.Source{SecretRef: named("", "")}, []string{"spec.source.secretRef.name: name the object"}},
		{"a hash in capitals", v1alpha1.Source{SHA256: strings.ToUpper(hashOfTest)}, []string{"spec.source.sha256: 64 small hexadecimal digits"}},
		{"the key itself", v1alpha1.Source{SHA256: "ak_live_secret", Hint: "ak_live_secret"},
			[]string{"spec.source.sha256: 64 small hexadecimal digits", "spec.source.hint: the last four"}},
		{"the hash of nothing", v1alpha1.Source{SHA256: nothingHashed}, []string{"spec.source.sha256: hash of nothing"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			errs := ApiKey(aKey(withSource(c.source)), References{}, now)
			expect(t, errs, c.want...)
			for _, e := range errs {
				if strings.Contains(e.Error(), "ak_live_secret") {
					t.Error("a key is quoted")
				}
			}
		})
	}
	t.Run("sealed", func(t *testing.T) {
		expect(t, ApiKey(aKey(withSource(v1alpha1.Source{SHA256: hashOfTest}), withDelivery(sealedTo(janes))), References{}, now),
			"spec.delivery.type: is not delivered")
	})
}

func TestAWayThatIsNotAllowedIsRefusedForNewAndChangedKeys(t *testing.T) {
	shop := aWorkspace(func(w *v1alpha1.Workspace) {
		w.Spec.Keys.AllowedDelivery = []v1alpha1.AllowedDelivery{v1alpha1.AllowSealed}
	})
	refs := References{Workspace: shop}
	const want = `spec.delivery.type: Workspace "shop" allows Sealed, and this is Secret`
	expect(t, ApiKey(aKey(withDelivery(sealedTo(janes))), refs, now))
	expect(t, ApiKey(aKey(), refs, now), want)
	expect(t, ApiKey(aKey(withSource(v1alpha1.Source{SHA256: hashOfTest})), refs, now), "spec.source: and this is Source")
	expect(t, ApiKey(aKey(withState(v1alpha1.KeyRevoked)), refs, now))
	// One that was there before the workspace's owner thought of it stands in the way of nothing else.
	expect(t, ApiKeyUpdate(aKey(), aKey(withScopes("orders:write")), refs, now))
}

func TestWhatOfADeliveryCannotBeChanged(t *testing.T) {
	source := v1alpha1.Source{SHA256: hashOfTest}
	for _, c := range []struct {
		name     string
		old, new *v1alpha1.ApiKey
		want     []string
	}{
		{"the way", aKey(withDelivery(v1alpha1.Delivery{})), aKey(withDelivery(sealedTo(janes))), []string{"spec.delivery.type: cannot be changed"}},
		{"the way that is the default, in words", aKey(withDelivery(v1alpha1.Delivery{})), aKey(withDelivery(v1alpha1.Delivery{Type: v1alpha1.DeliverySecret})), nil},
		{"bringing along what was made", aKey(), aKey(withSource(source)), []string{"spec.source: neither added nor removed"}},
		{"making what was brought along", aKey(withSource(source)), aKey(), []string{"spec.source: neither added nor removed"}},
		{"another key that is brought along", aKey(withSource(source)), aKey(withSource(v1alpha1.Source{SHA256: strings.Repeat("0", 64)})), nil},
		{"revoking at the same time", aKey(), aKey(withSource(source), withState(v1alpha1.KeyRevoked)), []string{"spec.source: neither added nor removed"}},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, ApiKeyUpdate(c.old, c.new, References{}, now), c.want...) })
	}
}

func TestPersonalTokensAreOneForEachUserAndStayHis(t *testing.T) {
	of := func(kind, id string) func(*v1alpha1.ApiKey) {
		return func(k *v1alpha1.ApiKey) { k.Spec.Entity = &v1alpha1.Entity{Kind: kind, ID: v1alpha1.EntityID(id)} }
	}
	one := References{KeysOfUser: 1}
	expect(t, ApiKey(aKey(of("User", "jane")), References{}, now))
	expect(t, ApiKey(aKey(of("User", "jane")), one, now), `spec.entity: user "jane" has a personal token in this workspace already`)
	expect(t, ApiKey(aKey(of("Agent", "jane")), one, now))
	expect(t, ApiKey(aKey(of("User", "jane"), withState(v1alpha1.KeyRevoked)), one, now))

	const stays = "spec.entity: cannot be changed, it says whose personal token"
	jane := aKey(of("User", "jane"))
	for _, after := range []*v1alpha1.ApiKey{aKey(of("User", "john")), aKey(of("Agent", "jane")), aKey(func(k *v1alpha1.ApiKey) { k.Spec.Entity = nil })} {
		expect(t, ApiKeyUpdate(jane, after, References{}, now), stays)
	}
	expect(t, ApiKeyUpdate(aKey(), jane, References{}, now), stays)
	expect(t, ApiKeyUpdate(aKey(), aKey(of("Agent", "other")), References{}, now))
}

func withToken(token v1alpha1.AccountToken) func(*v1alpha1.ServiceAccount) {
	return func(a *v1alpha1.ServiceAccount) { a.Spec.Token = &token }
}

func TestAccountTokens(t *testing.T) {
	shop := aWorkspace(func(w *v1alpha1.Workspace) {
		w.Spec.Keys.MaxTTL = lasting(30 * day)
		w.Spec.Keys.AllowedDelivery = []v1alpha1.AllowedDelivery{v1alpha1.AllowSecret}
	})
	for _, c := range []struct {
		name      string
		token     v1alpha1.AccountToken
		workspace *v1alpha1.Workspace
		want      []string
	}{
		{"one of a year", v1alpha1.AccountToken{}, nil, nil},
		{"one that ends in time", v1alpha1.AccountToken{TTL: lasting(30 * day)}, shop, nil},
		{"one that does not, by default", v1alpha1.AccountToken{}, shop, []string{`spec.token.ttl: Workspace "shop" lets a key live for at most 720h`}},
		{"one that does not", v1alpha1.AccountToken{TTL: lasting(31 * day)}, shop, []string{"spec.token.ttl: at most 720h"}},
		{"one of no time", v1alpha1.AccountToken{TTL: lasting(0)}, nil, []string{"spec.token.ttl: at least 1s"}},
		{"another environment", v1alpha1.AccountToken{Environment: "prod"}, nil, []string{"spec.token.environment: supported values"}},
		{"sealed to nobody", v1alpha1.AccountToken{Delivery: sealedTo()}, nil, []string{"spec.token.delivery.recipients: name the age public keys"}},
		{"a way that is not allowed", v1alpha1.AccountToken{TTL: lasting(day), Delivery: sealedTo(janes)}, shop, []string{"spec.token.delivery.type: allows Secret"}},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, ServiceAccount(anAccount(withToken(c.token)), c.workspace), c.want...) })
	}
	token := v1alpha1.AccountToken{}
	other := v1alpha1.AccountToken{Environment: v1alpha1.EnvironmentTest, Delivery: v1alpha1.Delivery{SecretName: "other"}}
	expect(t, ServiceAccountUpdate(anAccount(withToken(token)), anAccount(withToken(other)), nil),
		"spec.token.environment: cannot be changed", "spec.token.delivery.secretName: cannot be changed")
	expect(t, ServiceAccountUpdate(anAccount(withToken(token)), anAccount(), nil))
	expect(t, ServiceAccountUpdate(anAccount(), anAccount(withToken(other)), nil))

	expect(t, NoRoomForToken(anAccount(withToken(token)), 0))
	expect(t, NoRoomForToken(anAccount(withToken(token)), 1), "spec.token: raise spec.maxActiveKeys")
	expect(t, NoRoomForToken(anAccount(), 1))
}

func TestPoliciesOfLife(t *testing.T) {
	type policy = *v1alpha1.WorkspaceSpec
	times := func(texts ...v1alpha1.WarningTime) func(policy) {
		return func(p policy) { p.Keys.ExpiryWarnings = texts }
	}
	for _, c := range []struct {
		name   string
		change func(policy)
		want   []string
	}{
		{"all of it", func(p policy) {
			p.DeletionPolicy, p.Keys.Delegation = v1alpha1.WorkspaceCascade, v1alpha1.DelegationRequired
			p.Keys.AllowedDelivery = []v1alpha1.AllowedDelivery{v1alpha1.AllowSecret, v1alpha1.AllowSealed, v1alpha1.AllowSource}
			p.Keys.ExpiryWarnings = []v1alpha1.WarningTime{"336h", "24h", "1m30s"}
			p.Keys.UnusedAfter, p.Keys.RetainExpired = lasting(day), lasting(time.Second)
		}, nil},
		{"another policy", func(p policy) { p.DeletionPolicy = "Orphan" }, []string{"spec.deletionPolicy: supported values"}},
		{"another delegation", func(p policy) { p.Keys.Delegation = "Maybe" }, []string{"spec.keys.delegation: supported values"}},
		{"another way", func(p policy) { p.Keys.AllowedDelivery = []v1alpha1.AllowedDelivery{"Mail"} }, []string{"spec.keys.allowedDelivery[0]: supported values"}},
		{"a way twice", func(p policy) {
			p.Keys.AllowedDelivery = []v1alpha1.AllowedDelivery{v1alpha1.AllowSealed, v1alpha1.AllowSealed}
		}, []string{"spec.keys.allowedDelivery[1]: Duplicate"}},
		{"a warning in days", times("336h", "14d"), []string{"spec.keys.expiryWarnings[1]: 336h is 14 days"}},
		{"a warning in what the schema does not read", times("9999999us"), []string{"spec.keys.expiryWarnings[0]: at least 1s"}},
		{"a warning at once", times("999ms"), []string{"spec.keys.expiryWarnings[0]: at least 1s"}},
		{"nine warnings", times("1h", "2h", "3h", "4h", "5h", "6h", "7h", "8h", "9h"), []string{"spec.keys.expiryWarnings: at most 8"}},
		{"unused at once", func(p policy) { p.Keys.UnusedAfter = lasting(0) }, []string{"spec.keys.unusedAfter: at least 1s"}},
		{"forgotten at once", func(p policy) { p.Keys.RetainExpired = lasting(0) }, []string{"spec.keys.retainExpired: at least 1s"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			expect(t, Workspace(aWorkspace(func(w *v1alpha1.Workspace) { c.change(&w.Spec) })), c.want...)
		})
	}
}

// Where and what is told; the cases of each kind are told apart where admission is tested as a whole.
func TestWhatIsGivenIsToldWithItsPlace(t *testing.T) {
	text := func(all []Given) (texts []string) {
		for _, g := range all {
			texts = append(texts, g.Path.String()+" "+g.Scope)
		}
		return texts
	}
	same := func(got []Given, want ...string) {
		t.Helper()
		if strings.Join(text(got), "\n") != strings.Join(want, "\n") {
			t.Errorf("got %q, want %q", text(got), want)
		}
	}
	wide := aKey(withScopes("orders:*"), withGrants(grant("a", "x:y")))
	same(GivenToKey(nil, wide), "spec.scopes[0] orders:*", "spec.grants[0].scopes[0] x:y")
	same(GivenToKey(wide, wide))
	same(GivenToKey(wide, aKey(withScopes("orders:read"), withGrants(grant("a", "x:y"), grant("b", "orders:write")))))
	same(GivenToKey(aKey(withScopes("orders:read")), wide), "spec.scopes[0] orders:*", "spec.grants[0].scopes[0] x:y")
	same(GivenToKey(aKey(withScopes("s"), withGrants(grant("a*"), grant("ab", "t"))), aKey(withScopes("s"))), "spec.grants s", "spec.grants s")
	same(GivenToAccount(nil, anAccount()))
	same(GivenToAccount(nil, anAccount(withToken(v1alpha1.AccountToken{}))), "spec.scopes ")
	same(GivenToAccount(anAccount(), anAccount(withCeiling("a"))))
	same(GivenToAccount(anAccount(withCeiling("a")), anAccount()), "spec.scopes ")
	same(GivenByWorkspace(aWorkspace(), aWorkspace(withCatalogue(define("a", "b")))))
}
