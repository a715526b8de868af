package apikey

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers/status"
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
	if c := s.issued(); c != nil {
		desired.Hint = c.Hint
		desired.IssuedAt = &metav1.Time{Time: c.IssuedAt}
		desired.SecretName = key.SecretName()
		if at := c.End(&key.Spec); !at.IsZero() {
			desired.ExpiresAt = &metav1.Time{Time: at.Truncate(time.Second)}
		}
	}
	conditions := status.ConditionsOf(key, key.Status.Conditions, now)
	if p := s.problem; p != nil {
		conditions.Set(v1alpha1.ConditionReady, false, p.reason, p.message)
		conditions.Stalled(p.stalled, p.reason, p.message)
	} else {
		conditions.Set(v1alpha1.ConditionReady, true, v1alpha1.ReasonReconciled, s.readiness())
		conditions.Stalled(false, "", "")
	}
	conditions.Set(v1alpha1.ConditionActive, desired.State == v1alpha1.ReasonActive, desired.State, s.activity(desired.State))
	desired.Conditions = conditions.List()
	return desired
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
	case s.issued() == nil:
		return "The key was revoked before one was issued"
	case s.key.Spec.State == v1alpha1.KeyRevoked:
		return "The key is revoked, as asked"
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

// untilEnd is how long the key has still to live; zero: it has ended, or has no end.
func (s *scope) untilEnd() time.Duration {
	c := s.issued()
	if c == nil {
		return 0
	}
	at := c.End(&s.key.Spec)
	if at.IsZero() || !s.now.Before(at) {
		return 0
	}
	return at.Sub(s.now)
}
