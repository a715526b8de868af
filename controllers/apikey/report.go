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
	}
	for _, n := range s.notices {
		kind := corev1.EventTypeNormal
		if n.warning {
			kind = corev1.EventTypeWarning
		}
		r.Events.Eventf(s.key, nil, kind, n.reason, n.action, "%s", n.note)
	}
	if left := s.untilEnd(); left > 0 {
		s.lookAgain(min(left, longestWait))
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
	if before.State == "" || before.State == after.State {
		return notices
	}
	switch after.State {
	case v1alpha1.ReasonRevoked:
		notices = append(notices, notice{false, v1alpha1.ReasonRevoked, "StopKey", "The key was revoked"})
	case v1alpha1.ReasonExpired:
		notices = append(notices, notice{false, v1alpha1.ReasonExpired, "StopKey", fmt.Sprintf("The key expired at %s", after.ExpiresAt.UTC().Format(time.RFC3339))})
	}
	return notices
}

// isWorthAnEvent leaves out the waiting for what is applied in another order.
func isWorthAnEvent(p *problem) bool { return p.stalled || p.retryAfter > 0 }
