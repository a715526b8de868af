package credential

import (
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/token"
)

func example(t *testing.T) Credential {
	t.Helper()
	made, err := token.New("ak", "live")
	if err != nil {
		t.Fatal(err)
	}
	end := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	return Credential{
		Hash: made.Hash(), Hint: made.Hint(), Generation: 3,
		ApiKeyUID: "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
		ApiKey:    types.NamespacedName{Namespace: "team", Name: "checkout"},
		IssuedAt:  time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: &end,
	}
}

func TestACredentialReadsBackAsItWasWritten(t *testing.T) {
	with := example(t)
	without := with
	without.NotAfter = nil
	for _, c := range []Credential{with, without} {
		got, err := FromSecret(c.Secret("claviger-system"))
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("got %+v, %v; want %+v", got, err, c)
		}
	}
}

func TestWhateverIsWrittenCanBeRead(t *testing.T) {
	for _, end := range []time.Time{{}, time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)} {
		c := example(t)
		c.NotAfter, c.IssuedAt = &end, end
		if _, err := FromSecret(c.Secret("claviger-system")); err != nil {
			t.Errorf("the end %v is written and cannot be read: %v", end, err)
		}
	}
}

func TestTheNameIsDerivedAndValid(t *testing.T) {
	c := example(t)
	secret := c.Secret("claviger-system")
	if secret.Name != Name(c.ApiKeyUID, c.Generation) || len(validation.IsDNS1123Subdomain(secret.Name)) > 0 {
		t.Errorf("name %q", secret.Name)
	}
}

func TestHalfUnderstoodSecretsAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(*corev1.Secret){
		"another type":           func(s *corev1.Secret) { s.Type = corev1.SecretTypeOpaque },
		"no label":               func(s *corev1.Secret) { delete(s.Labels, v1alpha1.LabelSecret) },
		"a delivered Secret":     func(s *corev1.Secret) { s.Labels[v1alpha1.LabelSecret] = v1alpha1.SecretDelivered },
		"no owner":               func(s *corev1.Secret) { delete(s.Labels, v1alpha1.LabelApiKeyUID) },
		"no name":                func(s *corev1.Secret) { s.Annotations[v1alpha1.AnnotationApiKey] = "team" },
		"too many slashes":       func(s *corev1.Secret) { s.Annotations[v1alpha1.AnnotationApiKey] = "a/b/c" },
		"generation zero":        func(s *corev1.Secret) { s.Annotations[v1alpha1.AnnotationGeneration] = "0" },
		"a generation in words":  func(s *corev1.Secret) { s.Annotations[v1alpha1.AnnotationGeneration] = "one" },
		"a short hash":           func(s *corev1.Secret) { s.Data[dataHash] = s.Data[dataHash][1:] },
		"a long hash":            func(s *corev1.Secret) { s.Data[dataHash] = append(s.Data[dataHash], 0) },
		"no hash":                func(s *corev1.Secret) { delete(s.Data, dataHash) },
		"no time of issue":       func(s *corev1.Secret) { delete(s.Data, dataIssuedAt) },
		"an end nobody can read": func(s *corev1.Secret) { s.Data[dataNotAfter] = []byte("never") },
		"nothing":                func(s *corev1.Secret) { *s = corev1.Secret{} },
	} {
		t.Run(name, func(t *testing.T) {
			secret := example(t).Secret("claviger-system")
			hash := string(secret.Data[dataHash])
			spoil(secret)
			c, err := FromSecret(secret)
			if err == nil {
				t.Fatalf("accepted as %+v", c)
			}
			if hash != "" && strings.Contains(err.Error(), hash) {
				t.Error("the error shows the hash")
			}
		})
	}
}

func FuzzFromSecret(f *testing.F) {
	f.Add("3", "team/checkout", []byte(strings.Repeat("h", token.HashSize)), []byte("2026-01-01T00:00:00Z"), []byte("2027-01-01T00:00:00Z"))
	f.Fuzz(func(t *testing.T, generation, apiKey string, hash, issuedAt, notAfter []byte) {
		secret := &corev1.Secret{Type: v1alpha1.SecretTypeHash}
		secret.Labels = map[string]string{v1alpha1.LabelSecret: v1alpha1.SecretHashed, v1alpha1.LabelApiKeyUID: "uid"}
		secret.Annotations = map[string]string{v1alpha1.AnnotationApiKey: apiKey, v1alpha1.AnnotationGeneration: generation}
		secret.Data = map[string][]byte{dataHash: hash, dataIssuedAt: issuedAt, dataNotAfter: notAfter}
		c, err := FromSecret(secret)
		if err != nil {
			return
		}
		again, err := FromSecret(c.Secret("ns"))
		if err != nil || again.Hash != c.Hash || again.ApiKey != c.ApiKey || again.Generation != c.Generation || again.NotAfter.After(*c.NotAfter) {
			t.Errorf("read %+v and wrote what reads %+v, %v", c, again, err)
		}
	})
}

func TestOnlyNamesReadAsNames(t *testing.T) {
	const uid = "6f1c8a34-7d0e-4c9b-9a53-0f2d7c1e8b11"
	if got, generation, ok := ParseName(Name(uid, 12)); got != uid || generation != 12 || !ok {
		t.Errorf("got %q, %d", got, generation)
	}
	for _, text := range []string{
		"", "key-", "key-" + uid, uid + "-1", "key-" + uid + "-0", "key-" + uid + "-01", "key-" + uid + "-+1", "key-" + uid + "-x",
		"key-" + uid + "-99999999999999999999", " key-" + uid + "-1",
	} {
		if _, _, ok := ParseName(text); ok {
			t.Errorf("%q reads as a name", text)
		}
	}
}
