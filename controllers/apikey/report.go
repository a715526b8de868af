package apikey

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers/status"
)

// longestWait is the longest that a key is left alone. Its end may be years away, and
// clocks are set.
const longestWait = 12 * time.Hour

const reasonRotated = "Rotated"

// report writes the status, unless it says so already, then sends the Events, and asks for
// another look when time alone will change something.
func (r *Reconciler) report(ctx context.Context, s *scope) error {
	before, desired := s.key.Status.DeepCopy(), desiredStatus(s)
	before.Usage = nil
	if !equality.Semantic.DeepEqual(*before, desired) {
		version, err := status.Apply(ctx, r.Writer, s.key, &desired)
		if err != nil {
			return err
		}
		if version != s.cachedVersion {
			r.memory.rememberStatusWrite(s.key, s.cachedVersion)
		}
		s.notices = append(s.notices, changes(before, &desired, s.problem)...)
		r.measureRevocation(s, before, &desired)
	}
	s.noticePromotion(&desired)
	for _, n := range s.notices {
		kind := corev1.EventTypeNormal
		if n.warning {
			kind = corev1.EventTypeWarning
		}
		r.Events.Eventf(s.key, nil, kind, n.reason, n.action, "%s", n.note)
	}
	if left := s.untilNext(); left > 0 {
		s.lookAgain(min(left, longestWait))
	}
	if wait := s.untilRevocation(desired.Revocation); wait > 0 {
		s.lookAgain(wait)
	}
	if s.problem != nil && s.problem.retryAfter > 0 {
		s.lookAgain(s.problem.retryAfter)
	}
	return nil
}

// changes are the Events for what the status tells anew. That a key was issued is not one of them:
// an Event is a write like the others, and a key costs three.
func changes(before, after *v1alpha1.ApiKeyStatus, p *problem) (notices []notice) {
	was := meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionReady)
	if p != nil && !p.quiet && isWorthAnEvent(p) && (was == nil || was.Reason != p.reason) {
		notices = append(notices, notice{true, p.reason, "Reconcile", p.message})
	}
	for _, advice := range []string{v1alpha1.ConditionNearExpiry, v1alpha1.ConditionUnused, v1alpha1.ConditionPreviousKeyInUse} {
		is, was := meta.FindStatusCondition(after.Conditions, advice), meta.FindStatusCondition(before.Conditions, advice)
		if is != nil && (was == nil || was.Reason != is.Reason) {
			notices = append(notices, notice{true, advice, "Advise", is.Message})
		}
	}
	if before.State == "" || before.State == after.State {
		return notices
	}
	switch after.State {
	case v1alpha1.ReasonRevoked:
		notices = append(notices, revoked(after))
	case v1alpha1.ReasonExpired:
		notices = append(notices, notice{false, v1alpha1.ReasonExpired, "StopKey", fmt.Sprintf("The key expired at %s", after.ExpiresAt.UTC().Format(time.RFC3339))})
	}
	return notices
}

// noticePromotion tells that another key took the place of the one before.
func (s *scope) noticePromotion(status *v1alpha1.ApiKeyStatus) {
	if !s.succeeded {
		return
	}
	until := "the one before stopped working"
	if status.Rotation != nil && status.Rotation.Previous != nil {
		until = "the one before works until " + status.Rotation.Previous.EndsAt.UTC().Format(time.RFC3339)
	}
	s.notices = append(s.notices, notice{false, reasonRotated, "ReplaceKey", "Another key took the place of the one before; " + until})
}

// measureRevocation tells how long a revocation took, where it has come to its end with this.
func (r *Reconciler) measureRevocation(s *scope, before, after *v1alpha1.ApiKeyStatus) {
	is, was := after.Revocation, before.Revocation
	switch {
	case is == nil || r.Propagation == nil:
	case was == nil:
		r.memory.rememberRevocation(s.key, s.now)
	case is.PropagatedAt != nil && was.PropagatedAt == nil:
		r.Propagation.RevocationSeen(s.now.Sub(r.memory.revokedAt(s.key, is.RequestedAt.Time)))
	}
}

// isWorthAnEvent leaves out the waiting for what is applied in another order.
func isWorthAnEvent(p *problem) bool { return p.stalled || p.retryAfter > 0 }
