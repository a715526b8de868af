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
	// staged is the Secret that the next key waits in; nil: there is none.
	staged *deliveredSecret
	// stageTaken says that something else has the name of that Secret.
	stageTaken bool
	// brought is the key that is brought along; nil: none is, or it is not to be had.
	brought *broughtKey
	// hashed are the ApiKey's hashed Secrets by generation.
	hashed map[int]*hashedSecret
	// unreadable names a hashed Secret of the ApiKey that holds something else.
	unreadable string
}

type deliveredSecret struct {
	meta metav1.ObjectMeta
	own  bool
	// adoptable says that it is nobody's and may become the ApiKey's own.
	adoptable bool
	// taken says that the key in it is another ApiKey's: somebody copied it here.
	taken bool
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

// isOwn says whether a Secret was made for the ApiKey of that UID, to be delivered or staged. A name is not
// enough: the key of an ApiKey that was deleted and made again is not this one's.
func isOwn(meta *metav1.ObjectMeta, uid types.UID, as string) bool {
	return meta.Labels[v1alpha1.LabelSecret] == as && meta.Labels[v1alpha1.LabelApiKeyUID] == string(uid)
}

func newDelivered(meta *metav1.ObjectMeta, own bool, c content) *deliveredSecret {
	d := &deliveredSecret{meta: *meta, own: own}
	if d.own {
		d.generation, _ = credential.Generation(meta.Annotations) // 0 says that it cannot be read
		d.key, d.hint = c.key, c.hint
	}
	return d
}

// issuedAt is when the key in it was made, to the second, so that it is the same however often the key is
// hashed. The Secret may be older than the key, or younger where it came back from a backup. A time to come is
// a meddler's.
func (d *deliveredSecret) issuedAt(now time.Time) time.Time {
	if at := timeIn(d.meta.Annotations, annotationIssuedAt); !at.IsZero() && !at.After(now) {
		return at
	}
	return d.meta.CreationTimestamp.UTC().Truncate(time.Second)
}

// timeIn reads a time out of an annotation; zero: there is none.
func timeIn(annotations map[string]string, name string) time.Time {
	at, err := time.Parse(time.RFC3339, annotations[name])
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
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

// current is the hashed Secret of the key that counts: of the delivered one, else the newest.
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

// previous is the newest of the keys that the current one replaced and that still work; nil: there is none.
func (m *material) previous() *hashedSecret {
	var newest *hashedSecret
	for _, generation := range m.generations() {
		if h := m.hashed[generation]; h.credential.Generation < m.current().credential.Generation {
			newest = h
		}
	}
	return newest
}

// observation is what the decision needs.
func (s *scope) observation() issuance.Observation {
	o := issuance.Observation{
		Hashes:  map[int]token.Hash{},
		Renew:   s.renewalWanted(),
		OnLoss:  s.key.Spec.Delivery.OnLoss,
		Hold:    s.held(),
		Overlap: s.now.Before(s.overlapEnd()),
		Bounded: map[int]bool{}, Ended: map[int]bool{},
	}
	o.Over = (over(s.key, s.issued(), s.now) || s.endedBefore()) && !(o.Renew && s.key.Spec.State != v1alpha1.KeyRevoked)
	for generation, h := range s.material.hashed {
		end := h.credential.NotAfter
		o.Hashes[generation] = h.credential.Hash
		o.Bounded[generation] = end != nil && !end.After(s.overlapEnd())
		o.Ended[generation] = end != nil && !s.now.Before(*end)
	}
	o.Secret, o.Staged = s.secret(s.material.delivered), s.secret(s.material.staged)
	return o
}

// endedBefore says that a sealed key had expired before its hash was lost.
func (s *scope) endedBefore() bool {
	end := s.key.Status.ExpiresAt
	changed := s.key.Status.ObservedGeneration != s.key.Generation // and so perhaps its end
	return s.isSealed() && s.issued() == nil && end != nil && !s.now.Before(end.Time) && !changed
}

func (s *scope) secret(d *deliveredSecret) *issuance.Secret {
	if d == nil {
		return nil
	}
	return &issuance.Secret{Own: d.own, Adoptable: d.adoptable, Generation: d.generation, Key: d.key, Fits: d.key != nil && !d.taken && s.fits(d.hint)}
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
