package apikey

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers/status"
	"github.com/claviger-dev/claviger/internal/credential"
)

// desiredStatus is what the scope amounts to, told to people. It is pure. What usage says is
// left to those who write it.
func desiredStatus(s *scope) v1alpha1.ApiKeyStatus {
	key, now := s.key, s.now
	desired := v1alpha1.ApiKeyStatus{
		ObservedGeneration: key.Generation,
		KeyID:              string(key.UID),
		State:              s.state(),
	}
	s.tellKey(&desired)
	desired.Revocation = s.revocation()
	conditions := status.ConditionsOf(key, key.Status.Conditions, now)
	if p := s.problem; p != nil {
		conditions.Set(v1alpha1.ConditionReady, false, p.reason, p.message)
		conditions.Stalled(p.stalled, p.reason, p.message)
	} else {
		conditions.Set(v1alpha1.ConditionReady, true, v1alpha1.ReasonReconciled, s.readiness())
		conditions.Stalled(false, "", "")
	}
	conditions.Set(v1alpha1.ConditionActive, desired.State == v1alpha1.ReasonActive, desired.State, s.activity(desired.State))
	s.advise(conditions, desired.State)
	desired.Conditions = conditions.List()
	return desired
}

// tellKey tells of the key that was issued.
func (s *scope) tellKey(desired *v1alpha1.ApiKeyStatus) {
	c, before := s.issued(), &s.key.Status
	if c == nil {
		if s.isSealed() {
			// Nothing else tells that there was a key, and one that is lost or over is not to be replaced unasked.
			desired.IssuedAt, desired.ExpiresAt = before.IssuedAt, before.ExpiresAt
			desired.Hint, desired.KeyGeneration = before.Hint, before.KeyGeneration
		}
		return
	}
	desired.Hint = c.Hint
	desired.IssuedAt = &metav1.Time{Time: c.IssuedAt}
	desired.KeyGeneration = int32(c.Generation)
	desired.SecretName = s.secretName()
	desired.Legacy = s.isLegacy(c)
	desired.Sealed = sealed(c)
	desired.Rotation = s.rotation()
	if at := c.End(&s.key.Spec); !at.IsZero() {
		desired.ExpiresAt = &metav1.Time{Time: at.Truncate(time.Second)}
	}
}

// secretName is where the key is to be found; empty: in no Secret.
func (s *scope) secretName() string {
	switch source := s.key.Spec.Source; {
	case source != nil && source.SecretRef != nil:
		return source.SecretRef.Name
	case source != nil, s.isSealed():
		return ""
	}
	return s.key.SecretName()
}

// isLegacy says that the key is of another format than Claviger's. Where only the hash is known, the hint says
// so, which is that format's own.
func (s *scope) isLegacy(c *credential.Credential) bool {
	return c.Foreign && (s.key.Spec.Source == nil || s.key.Spec.Source.Hint == "")
}

func sealed(c *credential.Credential) *v1alpha1.SealedKey {
	if c.Sealed == "" {
		return nil
	}
	key := &v1alpha1.SealedKey{Ciphertext: c.Sealed}
	for _, recipient := range c.SealedTo {
		key.Recipients = append(key.Recipients, v1alpha1.Recipient(recipient))
	}
	return key
}

// rotation tells of the next key and of the one before; nil: there is neither.
func (s *scope) rotation() *v1alpha1.RotationStatus {
	r := &v1alpha1.RotationStatus{}
	if next := s.nextRotation(); !next.IsZero() && s.key.Spec.State != v1alpha1.KeyRevoked {
		r.NextAt = &metav1.Time{Time: next}
	}
	if end := s.previousEnd(); s.now.Before(end) {
		r.Previous = &v1alpha1.PreviousKey{Hint: s.material.previous().credential.Hint, EndsAt: &metav1.Time{Time: end.Truncate(time.Second)}}
	}
	if *r == (v1alpha1.RotationStatus{}) {
		return nil
	}
	return r
}

// state is what a verifier would make of the key, in the order in which it looks: see policy.Check.
func (s *scope) state() string {
	refs, spec := &s.references, &s.key.Spec
	issued := s.issued()
	switch {
	case spec.State == v1alpha1.KeyRevoked:
		return v1alpha1.ReasonRevoked
	case issued == nil || refs.workspace == nil || spec.ServiceAccountRef != nil && !s.accountIsOfWorkspace():
		return v1alpha1.ReasonPending
	case spec.State == v1alpha1.KeyDisabled:
		return v1alpha1.ReasonDisabled
	case refs.workspace.Spec.Suspended:
		return v1alpha1.ReasonWorkspaceSuspended
	case refs.account != nil && refs.account.Spec.Suspended:
		return v1alpha1.ReasonServiceAccountSuspended
	case expired(s.key, issued, s.now):
		return v1alpha1.ReasonExpired
	}
	return v1alpha1.ReasonActive
}

func (s *scope) accountIsOfWorkspace() bool {
	account := s.references.account
	return account != nil && account.Spec.WorkspaceRef == s.key.Spec.WorkspaceRef
}

// readiness says what Ready means for this key.
func (s *scope) readiness() string {
	switch {
	case s.issued() == nil && s.key.Spec.State == v1alpha1.KeyRevoked:
		return "The key was revoked before one was issued"
	case s.issued() == nil:
		return "The key expired, and its hash is gone: give it a later end, and another is sealed"
	case s.key.Spec.State == v1alpha1.KeyRevoked:
		return "The key is revoked, as asked"
	case s.isSealed():
		return s.sealedTo()
	case s.key.Spec.Source != nil && s.key.Spec.Source.SHA256 != "":
		return "The key is known by its hash alone"
	case s.key.Spec.Source != nil:
		return fmt.Sprintf("The key is the one in Secret %q", s.secretName())
	case s.plan.Lost:
		return fmt.Sprintf("Secret %q was deleted; the key is over, so it gets no other", s.key.SecretName())
	}
	return fmt.Sprintf("The key is in Secret %q", s.key.SecretName())
}

// activity says why the key works, or not.
func (s *scope) activity(state string) string {
	switch state {
	case v1alpha1.ReasonActive:
		return "The key works"
	case v1alpha1.ReasonDisabled:
		return "The key is disabled: set spec.state to Active to let it work again"
	case v1alpha1.ReasonRevoked:
		return "The key is revoked for good"
	case v1alpha1.ReasonExpired:
		return "The key has expired"
	case v1alpha1.ReasonWorkspaceSuspended:
		return fmt.Sprintf("Workspace %q is suspended", s.key.Spec.WorkspaceRef.Name)
	case v1alpha1.ReasonServiceAccountSuspended:
		return fmt.Sprintf("ServiceAccount %q is suspended", s.key.Spec.ServiceAccountRef.Name)
	}
	if s.issued() != nil {
		return "What the key belongs to does not exist, so it does not work"
	}
	return "No key is issued yet"
}

// sealedTo says who can read a sealed key.
func (s *scope) sealedTo() string {
	to := recipients(s.key)
	if slices.Equal(to, s.issued().SealedTo) {
		return "The key is sealed to its recipients, in status.sealed"
	}
	return "The key is sealed to the recipients of before, in status.sealed: regenerate it to have one sealed to those of now"
}
