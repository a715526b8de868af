package apikey

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

const (
	// maxReason is how much is shown of why a key was revoked, in bytes.
	maxReason = 1024
	// A revocation that has not reached every verifier is looked at often at first, then seldom.
	revocationIsFresh = 30 * time.Second
	revocationRetry   = 10 * time.Second
	revocationIsOld   = 10 * time.Minute
	revocationSeldom  = 5 * time.Minute

	reasonKeyLeaked = "KeyLeaked"
)

// revocation is how far a revocation has come. That every verifier has this version of the ApiKey
// says that all of them refuse the key: it is not older than the change that revoked it.
func (s *scope) revocation() *v1alpha1.Revocation {
	before := s.key.Status.Revocation
	if s.key.Spec.State != v1alpha1.KeyRevoked {
		return nil
	}
	if before == nil {
		if s.key.Status.State == v1alpha1.ReasonRevoked {
			return nil // it was revoked before anybody took note of when
		}
		return &v1alpha1.Revocation{RequestedAt: &metav1.Time{Time: s.now.Truncate(time.Second)}, Reason: revocationReason(s.key)}
	}
	after := before.DeepCopy()
	after.Reason = revocationReason(s.key)
	if after.PropagatedAt != nil || s.verifiers == nil {
		return after
	}
	if all, verifiers := s.verifiers.Reached("apikeys", s.key.ResourceVersion); all {
		after.PropagatedAt = &metav1.Time{Time: s.now.Truncate(time.Second)}
		after.Verifiers = int32(min(verifiers, 1<<30))
	}
	return after
}

// untilRevocation is when to look again whether the verifiers have a revocation; zero: they have.
func (s *scope) untilRevocation(now *v1alpha1.Revocation) time.Duration {
	switch {
	case now == nil, now.PropagatedAt != nil, s.verifiers == nil:
		return 0
	case s.now.Before(now.RequestedAt.Add(revocationIsFresh)):
		return lookForVerifiers
	case s.now.Before(now.RequestedAt.Add(revocationIsOld)):
		return revocationRetry
	}
	return revocationSeldom
}

func revocationReason(key *v1alpha1.ApiKey) string {
	reason := strings.ToValidUTF8(key.Annotations[v1alpha1.AnnotationRevocationReason], "")
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "")
	}
	return reason
}

// revoked is the Event of a revocation.
func revoked(after *v1alpha1.ApiKeyStatus) notice {
	why := ""
	if after.Revocation != nil {
		why = after.Revocation.Reason
	}
	switch {
	case why == "":
		return notice{false, v1alpha1.ReasonRevoked, "StopKey", "The key was revoked"}
	case strings.HasPrefix(why, v1alpha1.LeakedReason):
		return notice{true, reasonKeyLeaked, "StopKey", "The key was revoked because it was found where it should not be: " + why}
	}
	return notice{false, v1alpha1.ReasonRevoked, "StopKey", "The key was revoked: " + why}
}
