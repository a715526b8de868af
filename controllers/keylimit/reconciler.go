// Package keylimit keeps the status of KeyLimits: how many keys each holds for. What they refuse is
// shown there by package usage.
package keylimit

import (
	"context"
	"time"

	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers/status"
	"github.com/claviger-dev/claviger/internal/validation"
)

// Reconciler reconciles KeyLimits.
type Reconciler struct {
	Cached client.Reader
	Writer client.Client
	Clock  clock.PassiveClock
}

// Reconcile writes a KeyLimit's status.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	limit := &v1alpha1.KeyLimit{}
	if err := r.Cached.Get(ctx, request.NamespacedName, limit); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	attached, err := r.attachedKeys(ctx, limit)
	if err != nil {
		return reconcile.Result{}, err
	}
	desired := desiredStatus(limit, attached, r.Clock.Now())
	has := limit.Status
	has.Usage = nil
	return status.Keep(ctx, r.Writer, limit, has, desired, 0)
}

// desiredStatus is pure. What usage says is left to those who write it.
func desiredStatus(limit *v1alpha1.KeyLimit, attached int, now time.Time) v1alpha1.KeyLimitStatus {
	conditions := status.ConditionsOf(limit, limit.Status.Conditions, now)
	if errs := validation.KeyLimit(limit); len(errs) > 0 {
		message := errs.ToAggregate().Error()
		conditions.Set(v1alpha1.ConditionReady, false, v1alpha1.ReasonInvalidSpec, message)
		conditions.Stalled(true, v1alpha1.ReasonInvalidSpec, message)
	} else {
		conditions.Set(v1alpha1.ConditionReady, true, v1alpha1.ReasonReconciled, "The limit is as it was asked to be")
		conditions.Stalled(false, "", "")
	}
	if ptr.Deref(limit.Spec.Enabled, true) {
		conditions.Set(v1alpha1.ConditionActive, true, v1alpha1.ReasonActive, "The limit holds for the keys it is attached to")
	} else {
		conditions.Set(v1alpha1.ConditionActive, false, v1alpha1.ReasonDisabled, "The limit is not enabled and holds nobody back")
	}
	return v1alpha1.KeyLimitStatus{
		ObservedGeneration: limit.Generation,
		AttachedKeys:       int32(attached),
		Conditions:         conditions.List(),
	}
}
