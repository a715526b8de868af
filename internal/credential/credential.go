// Package credential is what is kept of a key: the hashed Secret in the operator's
// namespace, written by the controllers and read by the verifiers' feed.
package credential

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/token"
)

// The data keys of a hashed Secret.
const (
	dataHash     = "hash"
	dataHint     = "hint"
	dataIssuedAt = "issued-at"
	dataNotAfter = "not-after"
	dataForeign  = "foreign"
	dataSealed   = "sealed"
	dataSealedTo = "sealed-to"
)

// Credential is one generation of an ApiKey's key.
type Credential struct {
	Hash       token.Hash
	ApiKeyUID  types.UID
	ApiKey     types.NamespacedName
	Generation int // from 1
	Hint       string
	IssuedAt   time.Time // to the second
	// NotAfter is the end that the controllers approved, to the second; nil: none. It is
	// all that ever changes in a hashed Secret.
	NotAfter *time.Time
	// Foreign says that the key was brought along and may be of another format than Claviger's.
	Foreign bool
	// Sealed is the key encrypted to SealedTo, in age's armored form; empty: it was delivered
	// otherwise. Beside its hash it is written at one stroke with it, so that neither is ever without the
	// other.
	Sealed   string
	SealedTo []string
}

// Name is the name of the hashed Secret for a generation of an ApiKey's key. It is derived,
// so that a repeated creation finds the first one.
func Name(uid types.UID, generation int) string {
	return fmt.Sprintf("key-%s-%d", uid, generation)
}

// ParseName reads the name of a hashed Secret. No two names are read alike.
func ParseName(name string) (uid types.UID, generation int, ok bool) {
	rest, ok := strings.CutPrefix(name, "key-")
	dash := strings.LastIndexByte(rest, '-')
	if !ok || dash < 0 {
		return "", 0, false
	}
	uid = types.UID(rest[:dash])
	generation, err := strconv.Atoi(rest[dash+1:])
	if err != nil || generation < 1 || Name(uid, generation) != name {
		return "", 0, false
	}
	return uid, generation, true
}

// End is when the credential stops working under a spec; zero: never.
func (c Credential) End(spec *v1alpha1.ApiKeySpec) time.Time {
	var explicit *time.Time
	if spec.ExpiresAt != nil {
		explicit = &spec.ExpiresAt.Time
	}
	var ttl time.Duration
	if spec.TTL != nil {
		ttl = spec.TTL.Duration
	}
	return policy.ExpiresAt(explicit, ttl, c.IssuedAt, c.NotAfter)
}

// Secret is the hashed Secret, for the operator's namespace.
func (c Credential) Secret(namespace string) *corev1.Secret {
	data := map[string][]byte{
		dataHash:     c.Hash[:],
		dataHint:     []byte(c.Hint),
		dataIssuedAt: formatTime(c.IssuedAt),
	}
	if c.NotAfter != nil {
		data[dataNotAfter] = formatTime(*c.NotAfter)
	}
	if c.Foreign {
		data[dataForeign] = []byte("true")
	}
	if c.Sealed != "" {
		data[dataSealed] = []byte(c.Sealed)
		data[dataSealedTo] = []byte(strings.Join(c.SealedTo, "\n"))
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace,
			Name:      Name(c.ApiKeyUID, c.Generation),
			Labels: map[string]string{
				v1alpha1.LabelSecret:    v1alpha1.SecretHashed,
				v1alpha1.LabelApiKeyUID: string(c.ApiKeyUID),
			},
			Annotations: map[string]string{
				v1alpha1.AnnotationApiKey:     c.ApiKey.String(),
				v1alpha1.AnnotationGeneration: strconv.Itoa(c.Generation),
			},
		},
		Type: v1alpha1.SecretTypeHash,
		Data: data,
	}
}

// FromSecret reads a hashed Secret. Whatever is not just as Secret writes it is refused:
// a credential that is half understood must not grant anything. The error names the field and
// never its content.
func FromSecret(secret *corev1.Secret) (Credential, error) {
	c := Credential{
		ApiKeyUID: types.UID(secret.Labels[v1alpha1.LabelApiKeyUID]),
		Hint:      string(secret.Data[dataHint]),
	}
	if secret.Type != v1alpha1.SecretTypeHash || secret.Labels[v1alpha1.LabelSecret] != v1alpha1.SecretHashed {
		return Credential{}, errors.New("not a hashed Secret: its type or its label says otherwise")
	}
	if c.ApiKeyUID == "" {
		return Credential{}, fmt.Errorf("label %s is missing", v1alpha1.LabelApiKeyUID)
	}
	namespace, name, err := cache.SplitMetaNamespaceKey(secret.Annotations[v1alpha1.AnnotationApiKey])
	if err != nil || namespace == "" || name == "" {
		return Credential{}, fmt.Errorf("annotation %s is not namespace/name", v1alpha1.AnnotationApiKey)
	}
	c.ApiKey = types.NamespacedName{Namespace: namespace, Name: name}
	if c.Generation, err = Generation(secret.Annotations); err != nil {
		return Credential{}, err
	}
	if secret.Name != Name(c.ApiKeyUID, c.Generation) {
		return Credential{}, fmt.Errorf("it is not named %s, as a credential of this ApiKey and generation is", Name(c.ApiKeyUID, c.Generation))
	}
	if copy(c.Hash[:], secret.Data[dataHash]) != token.HashSize || len(secret.Data[dataHash]) != token.HashSize {
		return Credential{}, fmt.Errorf("data key %s does not hold %d bytes", dataHash, token.HashSize)
	}
	if c.IssuedAt, err = parseTime(secret.Data[dataIssuedAt]); err != nil {
		return Credential{}, fmt.Errorf("data key %s is not a time as RFC 3339 writes it", dataIssuedAt)
	}
	if text, ok := secret.Data[dataNotAfter]; ok {
		notAfter, err := parseTime(text)
		if err != nil {
			return Credential{}, fmt.Errorf("data key %s is not a time as RFC 3339 writes it", dataNotAfter)
		}
		c.NotAfter = &notAfter
	}
	if text, ok := secret.Data[dataForeign]; ok {
		if c.Foreign = string(text) == "true"; !c.Foreign {
			return Credential{}, fmt.Errorf("data key %s is not true", dataForeign)
		}
	}
	if c.Sealed = string(secret.Data[dataSealed]); c.Sealed != "" {
		c.SealedTo = strings.Split(string(secret.Data[dataSealedTo]), "\n")
	}
	return c, nil
}

// Generation reads the generation of a delivered or hashed Secret from its annotations.
func Generation(annotations map[string]string) (int, error) {
	generation, err := strconv.Atoi(annotations[v1alpha1.AnnotationGeneration])
	if err != nil || generation < 1 {
		return 0, fmt.Errorf("annotation %s is not a number from 1", v1alpha1.AnnotationGeneration)
	}
	return generation, nil
}

// formatTime keeps to the years that RFC 3339 can write and parseTime can read.
func formatTime(t time.Time) []byte {
	if t.Before(first) {
		t = first
	}
	if t.After(last) {
		t = last
	}
	return []byte(t.UTC().Format(time.RFC3339))
}

var (
	first = time.Unix(0, 0)
	last  = time.Date(9998, time.December, 31, 23, 59, 59, 0, time.UTC)
)

func parseTime(text []byte) (time.Time, error) { return time.Parse(time.RFC3339, string(text)) }
