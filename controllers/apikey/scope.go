package apikey

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers/apikey/issuance"
	"github.com/claviger-dev/claviger/internal/credential"
)

// scope is the work on one ApiKey: what is known, what was decided and what is in the way.
type scope struct {
	name types.NamespacedName
	now  time.Time
	// key is nil where there is none, or none that lives on.
	key *v1alpha1.ApiKey
	// cachedVersion is the resource version that the cache has of the key.
	cachedVersion string
	// hashed are the hashed Secrets under the key's name, whatever ApiKey they were for.
	hashed []corev1.Secret

	// verifiers is nil where nobody knows how far they have come.
	verifiers Propagation
	// usageTold says that anybody reads usage at all.
	usageTold bool
	// usageKnownUntil is until when every use of the key shows in its status; zero: that is not known.
	usageKnownUntil time.Time

	references references
	material   material
	plan       issuance.Plan
	// problem is why the key is not Ready; nil: it is.
	problem *problem
	notices []notice
	// succeeded says that another key took the place of the one before in this work.
	succeeded bool

	requeueAfter time.Duration
	done         bool
}

// problem is what keeps an ApiKey from being Ready.
type problem struct {
	reason, message string
	// stalled says that nothing but a person's change can help.
	stalled bool
	// quiet keeps it from being told by an Event.
	quiet bool
	// retryAfter is when to look again although nothing tells of a change; zero: never.
	retryAfter time.Duration
}

// notice is an Event to send once the status tells the same.
type notice struct {
	warning              bool
	reason, action, note string
}

func (s *scope) setKey(key *v1alpha1.ApiKey) {
	if key.DeletionTimestamp.IsZero() {
		s.key = key
	} else {
		s.key = nil // deletion revokes, whoever's finalizers hold it up
	}
}

func (s *scope) uid() types.UID {
	if s.key == nil {
		return ""
	}
	return s.key.UID
}

// fail notes a problem unless a worse one is known.
func (s *scope) fail(p *problem) {
	if s.problem == nil {
		s.problem = p
	}
}

// lookAgain asks for another look after a time, at the latest.
func (s *scope) lookAgain(after time.Duration) {
	if s.requeueAfter == 0 || after < s.requeueAfter {
		s.requeueAfter = after
	}
}

// issued is the credential that works; nil: none does.
func (s *scope) issued() *credential.Credential {
	if h := s.material.current(); h != nil {
		return &h.credential
	}
	return nil
}

func expired(key *v1alpha1.ApiKey, c *credential.Credential, now time.Time) bool {
	at := c.End(&key.Spec)
	return !at.IsZero() && !now.Before(at)
}

// over says that a key has ended for good, as far as its spec goes.
func over(key *v1alpha1.ApiKey, c *credential.Credential, now time.Time) bool {
	return key.Spec.State == v1alpha1.KeyRevoked || c != nil && expired(key, c, now)
}

// stagedAt is where the next key waits. The name is derived, so that two operators cannot stage two keys.
func stagedAt(key *v1alpha1.ApiKey) client.ObjectKey {
	return client.ObjectKey{Namespace: key.Namespace, Name: v1alpha1.StagedPrefix + string(key.UID)}
}

// mayTake says whether what a Secret holds is any of the ApiKey's business.
func (s *scope) mayTake(meta *metav1.ObjectMeta) bool {
	return isOwn(meta, s.key.UID, v1alpha1.SecretDelivered) || s.key.Spec.Delivery.Existing == v1alpha1.ExistingAdopt
}

func deliveredAt(key *v1alpha1.ApiKey) client.ObjectKey {
	return client.ObjectKey{Namespace: key.Namespace, Name: key.SecretName()}
}
