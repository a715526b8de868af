package apikey

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// Annotations of Secrets that say how a key came about.
const (
	// annotationRegenerated is which regeneration was asked for when the key was made, as a digest: what
	// people write into an annotation may be long. It is on the Secrets and not in the status, so that a
	// status that was lost never makes another key.
	annotationRegenerated = "keys.claviger.dev/regenerated"
	// annotationIssuedAt is when the key in a delivered Secret was made, where the Secret is older.
	annotationIssuedAt = "keys.claviger.dev/issued-at"
	// annotationReplacedAt is when the key in a delivered Secret took the place of another.
	annotationReplacedAt = "keys.claviger.dev/replaced-at"
)

const (
	// holdFor is for how long a key that was hashed waits for the verifiers before it is delivered. One
	// that is slower than that will be away.
	holdFor = 10 * time.Second
	// lookForVerifiers is how often to look whether the verifiers have something.
	lookForVerifiers = 250 * time.Millisecond
	// nearEnd is which part of an overlap, at its end, is near the end.
	nearEnd = 4
)

// Propagation knows how far the verifiers have come.
type Propagation interface {
	// Reached says whether every verifier that lives has applied a version of a resource, and how many there are.
	Reached(resource, version string) (all bool, verifiers int)
	// RevocationSeen is told how long it took until a revocation had reached all of them.
	RevocationSeen(lag time.Duration)
}

// regeneration is the digest of what the ApiKey's annotation asks for; empty: nothing is asked.
func regeneration(key *v1alpha1.ApiKey) string {
	asked := key.Annotations[v1alpha1.AnnotationRegenerate]
	if asked == "" {
		return ""
	}
	digest := sha256.Sum256([]byte(asked))
	return hex.EncodeToString(digest[:8])
}

// renewalWanted says whether the current key is to be replaced by another: because a person asked for it,
// or because it is old enough.
func (s *scope) renewalWanted() bool {
	current := s.material.current()
	if current == nil || s.key.Spec.Source != nil {
		return false
	}
	if end := s.key.Spec.ExpiresAt; end != nil && !s.now.Before(end.Time) {
		return false // another key would have ended, too
	}
	if asked := regeneration(s.key); asked != "" && asked != current.secret.Annotations[annotationRegenerated] {
		return true
	}
	next := s.nextRotation()
	return !next.IsZero() && !s.now.Before(next)
}

// nextRotation is when the current key is old enough to be replaced; zero: never.
func (s *scope) nextRotation() time.Time {
	rotation, current := s.key.Spec.Rotation, s.issued()
	if rotation == nil || rotation.Every == nil || current == nil || s.key.Spec.Source != nil {
		return time.Time{}
	}
	return current.IssuedAt.Add(rotation.Every.Duration)
}

// replacedAt is when the current key took the place of another; zero: it did not.
func (s *scope) replacedAt() time.Time {
	current := s.issued()
	switch {
	case current == nil:
		return time.Time{}
	case s.isDelivered():
		if d := s.material.delivered; d != nil && d.own {
			return timeIn(d.meta.Annotations, annotationReplacedAt)
		}
		return time.Time{}
	case current.Generation > 1:
		return current.IssuedAt
	}
	return time.Time{}
}

// overlapEnd is until when the keys that the current one replaced work on; zero: they do not.
func (s *scope) overlapEnd() time.Time {
	rotation, replaced := s.key.Spec.Rotation, s.replacedAt()
	if rotation == nil || rotation.Overlap == nil || replaced.IsZero() {
		return time.Time{}
	}
	if unused := s.unusedAt(); !unused.IsZero() && !s.usageKnownUntil.Before(unused) {
		return replaced // and so it is over
	}
	return replaced.Add(rotation.Overlap.Duration)
}

// unusedAt is when the replaced key will have been unused for long enough to end the overlap, if nobody uses
// it until then; zero: that ends no overlap. Whether somebody did is known only as far as
// usage was read: what a verifier that is away has counted must not be taken for nothing.
func (s *scope) unusedAt() time.Time {
	rotation := s.key.Spec.Rotation
	if rotation == nil || rotation.EndWhenUnusedFor == nil {
		return time.Time{}
	}
	return s.previousUsedAt().Add(rotation.EndWhenUnusedFor.Duration)
}

// previousUsedAt is when the replaced key was last used: not before it was replaced.
func (s *scope) previousUsedAt() time.Time {
	since := s.replacedAt()
	if usage := s.key.Status.Usage; usage != nil && usage.PreviousLastUsedAt != nil && usage.PreviousLastUsedAt.After(since) {
		since = usage.PreviousLastUsedAt.Time
	}
	return since
}

// previousInUse says that the end of the overlap is near and the replaced key was used not long ago.
func (s *scope) previousInUse() bool {
	end := s.previousEnd()
	if end.IsZero() || !s.now.Before(end) {
		return false
	}
	near := s.key.Spec.Rotation.Overlap.Duration / nearEnd
	used := s.previousUsedAt()
	return !s.now.Before(end.Add(-near)) && used.After(s.replacedAt()) && !used.Before(end.Add(-2*near))
}

// previousEnd is when the replaced key stops working; zero: there is none. An overlap that is lengthened while it lasts
// keeps its end.
func (s *scope) previousEnd() time.Time {
	previous := s.material.previous()
	if previous == nil {
		return time.Time{}
	}
	end := s.overlapEnd()
	if set := previous.credential.End(&s.key.Spec); !set.IsZero() && set.Before(end) {
		end = set
	}
	return end
}

// held says whether the staged key waits for verifiers that do not know it yet. Where the replaced key
// stops at once it does not wait: that may be the wish of somebody whose key leaked.
func (s *scope) held() bool {
	next, rotation := s.material.staged, s.key.Spec.Rotation
	if next == nil || s.verifiers == nil || rotation == nil || rotation.Overlap == nil {
		return false
	}
	hashed := s.material.hashed[next.generation]
	// When it was staged is told by the operator's clock, which is the one that is compared with.
	if hashed == nil || !s.now.Before(next.issuedAt(s.now).Add(holdFor)) {
		return false
	}
	all, _ := s.verifiers.Reached("secrets", hashed.secret.ResourceVersion)
	return !all
}

// isDelivered says that the key is delivered into a Secret.
func (s *scope) isDelivered() bool {
	return s.key.Spec.Source == nil && !s.isSealed()
}

func (s *scope) isSealed() bool {
	return s.key.Spec.Source == nil && s.key.Spec.Delivery.Type == v1alpha1.DeliverySealed
}
