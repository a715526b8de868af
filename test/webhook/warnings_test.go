package webhook

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// What is let through, and does not do what one might think.
func TestWarnings(t *testing.T) {
	const ns = "warnings"
	const (
		legacy     = "counts as legacy"
		notAnew    = "cannot be made anew"
		nextKey    = "take effect with the next key"
		deletes    = "keys.retainExpired deletes ApiKeys"
		lookThem   = "keep the scopes they have"
		regenerate = v1alpha1.AnnotationRegenerate
	)
	newNamespace(t, ns)
	ends := func(s *v1alpha1.ApiKeySpec) { s.TTL = hours(1) }
	hashed := func(hint string) func(*v1alpha1.ApiKeySpec) {
		return func(s *v1alpha1.ApiKeySpec) { s.Source = &v1alpha1.Source{SHA256: hashOfTest, Hint: hint} }
	}
	shop := workspace(ns, "shop", v1alpha1.KeyPolicy{})
	plain, known, unknown := key(ns, "plain", ends), key(ns, "known", ends, hashed("ak_live_…x7Qz")), key(ns, "unknown", ends, hashed(""))
	sealed := key(ns, "sealed", ends, func(s *v1alpha1.ApiKeySpec) {
		s.Delivery = v1alpha1.Delivery{Type: v1alpha1.DeliverySealed, Recipients: []v1alpha1.Recipient{janes}}
	})
	create(t, shop, plain, known, unknown, sealed)

	annotated := func(k *v1alpha1.ApiKey) *v1alpha1.ApiKey {
		k = k.DeepCopy()
		metav1.SetMetaDataAnnotation(&k.ObjectMeta, regenerate, "now")
		return k
	}
	resealed := sealed.DeepCopy()
	resealed.Spec.Delivery.Recipients = append(resealed.Spec.Delivery.Recipients, johns)
	renamed := unknown.DeepCopy()
	renamed.Spec.DisplayName = "renamed"
	unhinted := known.DeepCopy()
	unhinted.Spec.Source.Hint = ""
	retaining, delegatingShop := shop.DeepCopy(), shop.DeepCopy()
	retaining.Spec.Keys.RetainExpired = &metav1.Duration{Duration: time.Hour}
	delegatingShop.Spec.Keys.Delegation = v1alpha1.DelegationRequired

	for _, c := range []struct {
		name string
		// a create where the object is new, an update otherwise
		object client.Object
		want   string
	}{
		{"a new key known by its hash alone", key(ns, "new", ends, hashed("")), legacy},
		{"a new key known by hash and hint", key(ns, "new", ends, hashed("ak_live_…x7Qz")), ""},
		{"a hint that goes", unhinted, legacy},
		{"renaming one without a hint", renamed, ""},
		{"making a key anew", annotated(plain), ""},
		{"making anew what was brought along", annotated(known), notAnew},
		{"other recipients", resealed, nextKey},
		{"other recipients, and made anew", annotated(resealed), ""},
		{"deleting after the end", retaining, deletes},
		{"a new workspace that does", workspace(ns, "new", v1alpha1.KeyPolicy{RetainExpired: hours(1)}), deletes},
		{"delegation over keys that are there", delegatingShop, lookThem},
	} {
		t.Run(c.name, func(t *testing.T) {
			user, given := asUser(t)
			err := until(t.Context(), func() error {
				object := c.object.DeepCopyObject().(client.Object)
				if object.GetResourceVersion() == "" {
					return user.Create(t.Context(), object, client.DryRunAll)
				}
				return user.Update(t.Context(), object, client.DryRunAll)
			})
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" && len(given.texts) > 0 || c.want != "" && !given.has(c.want) {
				t.Errorf("warned of %q, want %q", given.texts, c.want)
			}
		})
	}
}

func TestRefusalsOfWaysAndAccounts(t *testing.T) {
	const ns = "ways"
	newNamespace(t, ns)
	create(t,
		workspace(ns, "shop", v1alpha1.KeyPolicy{AllowedDelivery: []v1alpha1.AllowedDelivery{v1alpha1.AllowSecret}, MaxTTL: hours(24), DefaultTTL: hours(24)}),
		account(ns, "busy"))
	create(t, key(ns, "of-busy", func(s *v1alpha1.ApiKeySpec) { s.ServiceAccountRef = &v1alpha1.LocalReference{Name: "busy"} }))
	awaiting := account(ns, "awaiting")
	awaiting.Spec.Token = &v1alpha1.AccountToken{TTL: hours(1)}
	create(t, awaiting)
	sealed := v1alpha1.Delivery{Type: v1alpha1.DeliverySealed, Recipients: []v1alpha1.Recipient{janes}}
	robot := func(token v1alpha1.AccountToken) client.Object {
		a := account(ns, "robot")
		a.Spec.Token = &token
		return a
	}
	busy := account(ns, "busy")
	if err := admin.Get(t.Context(), client.ObjectKeyFromObject(busy), busy); err != nil {
		t.Fatal(err)
	}
	busy.Spec.Token = &v1alpha1.AccountToken{TTL: hours(1)}
	for _, c := range []struct {
		name        string
		object      client.Object
		field, want string
	}{
		{"a way that is not allowed", key(ns, "new", func(s *v1alpha1.ApiKeySpec) { s.Delivery = sealed }),
			"spec.delivery.type", `Workspace "shop" allows Secret, and this is Sealed`},
		{"a key that is brought along where none may be", key(ns, "new", func(s *v1alpha1.ApiKeySpec) { s.Source = &v1alpha1.Source{SHA256: hashOfTest} }),
			"spec.source", `Workspace "shop" allows Secret, and this is Source`},
		{"the hash of nothing", key(ns, "new", func(s *v1alpha1.ApiKeySpec) {
			s.Source = &v1alpha1.Source{SHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
		}), "spec.source.sha256", "is the hash of nothing"},
		{"a recipient that is none", key(ns, "new", func(s *v1alpha1.ApiKeySpec) {
			s.Delivery = v1alpha1.Delivery{Type: v1alpha1.DeliverySealed, Recipients: []v1alpha1.Recipient{v1alpha1.Recipient(janes[:40])}}
		}), "spec.delivery.recipients[0]", "is no age public key"},
		{"a token over the maximum", robot(v1alpha1.AccountToken{}), "spec.token.ttl", `lets a key live for at most 24h`},
		{"a token in a way that is not allowed", robot(v1alpha1.AccountToken{TTL: hours(1), Delivery: sealed}), "spec.token.delivery.type", "allows Secret"},
		{"a token for an account that has its keys", busy, "spec.token", "of which there may be 1, and 1 others"},
		{"a key in the place of a token to come", key(ns, "new", func(s *v1alpha1.ApiKeySpec) {
			s.ServiceAccountRef = &v1alpha1.LocalReference{Name: "awaiting"}
		}), "spec.serviceAccountRef", `ServiceAccount "awaiting" may have 1 key and has 1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := until(t.Context(), func() error {
				object := c.object.DeepCopyObject().(client.Object)
				if object.GetResourceVersion() != "" {
					return fault(admin.Update(t.Context(), object, client.DryRunAll), c.field, c.want)
				}
				return fault(admin.Create(t.Context(), object, client.DryRunAll), c.field, c.want)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	token := key(ns, "awaiting", func(s *v1alpha1.ApiKeySpec) { s.ServiceAccountRef = &v1alpha1.LocalReference{Name: "awaiting"} })
	if err := admin.Create(t.Context(), token, client.DryRunAll); err != nil {
		t.Errorf("the token itself: %v", err)
	}
}
