package apikey

import (
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers/apikey/issuance"
	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/token"
)

// material is the key material of one ApiKey, as it was read.
type material struct {
	// delivered is the Secret under the name the key is delivered to; nil: nothing is there.
	delivered *deliveredSecret
	// hashed are the ApiKey's hashed Secrets by generation.
	hashed map[int]*hashedSecret
	// unreadable names a hashed Secret of the ApiKey that holds something else.
	unreadable string
}

type deliveredSecret struct {
	meta metav1.ObjectMeta
	own  bool
	// generation is 0 if it cannot be read.
	generation int
	// key is the hash of the key in it; nil: no well-formed one, or somebody else's Secret.
	key *token.Hash
	// hint is set where key is.
	hint string
}

type hashedSecret struct {
	secret     *corev1.Secret
	credential credential.Credential
}

// content is what was found in a delivered Secret: what it takes to compare and to hash it, not the
// key itself.
type content struct {
	key  *token.Hash
	hint string
}

func contentOf(secret *corev1.Secret) content {
	parsed, err := token.Parse(string(secret.Data[v1alpha1.DataKeyApiKey]))
	if err != nil {
		return content{}
	}
	hash := parsed.Hash()
	return content{&hash, parsed.Hint()}
}

// isOwn says whether a Secret was made for the ApiKey of that UID. A name is not enough: the key of
// an ApiKey that was deleted and made again is not this one's.
func isOwn(meta *metav1.ObjectMeta, uid types.UID) bool {
	return meta.Labels[v1alpha1.LabelSecret] == v1alpha1.SecretDelivered &&
		meta.Labels[v1alpha1.LabelApiKeyUID] == string(uid)
}

func newDelivered(meta *metav1.ObjectMeta, uid types.UID, c content) *deliveredSecret {
	d := &deliveredSecret{meta: *meta, own: isOwn(meta, uid)}
	if d.own {
		d.generation, _ = credential.Generation(meta.Annotations) // 0 says that it cannot be read
		d.key, d.hint = c.key, c.hint
	}
	return d
}

// issuedAt is when the key in it counts as issued, to the second: when the Secret was created, so
// that it is the same however often the key is hashed.
func (d *deliveredSecret) issuedAt() time.Time {
	return d.meta.CreationTimestamp.UTC().Truncate(time.Second)
}

// addHashed adds a hashed Secret of the ApiKey.
func (m *material) addHashed(secret *corev1.Secret, uid types.UID) {
	c, err := credential.FromSecret(secret)
	if err != nil || c.ApiKeyUID != uid || secret.Name != credential.Name(uid, c.Generation) {
		m.unreadable = secret.Name
		return
	}
	if m.hashed == nil {
		m.hashed = map[int]*hashedSecret{}
	}
	m.hashed[c.Generation] = &hashedSecret{secret, c}
}

func (m *material) generations() []int { return slices.Sorted(maps.Keys(m.hashed)) }

// current is the hashed Secret of the key that works: the delivered one, or the newest.
func (m *material) current() *hashedSecret {
	if d := m.delivered; d != nil && d.own && m.hashed[d.generation] != nil {
		return m.hashed[d.generation]
	}
	generations := m.generations()
	if len(generations) == 0 {
		return nil
	}
	return m.hashed[generations[len(generations)-1]]
}

// observation is what the decision needs.
func (s *scope) observation() issuance.Observation {
	o := issuance.Observation{
		Hashes: map[int]token.Hash{},
		Over:   over(s.key, s.issued(), s.now),
		OnLoss: s.key.Spec.Delivery.OnLoss,
	}
	for generation, h := range s.material.hashed {
		o.Hashes[generation] = h.credential.Hash
	}
	if d := s.material.delivered; d != nil {
		o.Secret = &issuance.Secret{Own: d.own, Generation: d.generation, Key: d.key, Fits: d.key != nil && s.fits(d.hint)}
	}
	return o
}

// fits says whether the key of that hint begins as the keys of this ApiKey do. The environment is
// part of what was asked for and never changes. The prefix may be the workspace's, and that
// may have changed since the key was made: what the status told of an issued key is as good.
// While the workspace is missing it cannot be said, and nothing is issued anyway.
func (s *scope) fits(hint string) bool {
	workspace := s.references.workspace
	if workspace == nil {
		return true
	}
	ending := "_" + environment(s.key) + "_"
	begins, _, _ := strings.Cut(hint, "…")
	began, _, _ := strings.Cut(s.key.Status.Hint, "…")
	return begins == prefix(s.key, workspace)+ending || begins == began && strings.HasSuffix(begins, ending)
}
