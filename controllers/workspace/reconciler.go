// Package workspace keeps the status of Workspaces, their ID and how many keys they have, and deletes what goes
// with one that was deleted.
//
// +kubebuilder:rbac:groups=keys.claviger.dev,resources=apikeys;serviceaccounts,verbs=get;list;watch;patch;delete
package workspace

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers/status"
	"github.com/claviger-dev/claviger/controllers/tally"
	"github.com/claviger-dev/claviger/controllers/watch"
	"github.com/claviger-dev/claviger/internal/fieldindex"
	"github.com/claviger-dev/claviger/internal/validation"
)

// Reconciler reconciles Workspaces.
type Reconciler struct {
	Cached client.Reader
	// Live reads from the API server.
	Live   client.Reader
	Writer client.Client
	Clock  clock.PassiveClock
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("workspace").
		For(&v1alpha1.Workspace{}, builder.WithPredicates(watch.SpecChanged())).
		Watches(&v1alpha1.ApiKey{}, watch.Coalesced(ofKey), builder.WithPredicates(tally.Changed())).
		Watches(&v1alpha1.ServiceAccount{}, watch.Coalesced(ofAccount), builder.WithPredicates(watch.Existence())).
		Watches(&v1alpha1.KeyLimit{}, watch.Coalesced(r.ofLimit), builder.WithPredicates(watch.Existence())).
		Complete(r)
}

// Reconcile writes a Workspace's status.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	workspace := &v1alpha1.Workspace{}
	err := r.Cached.Get(ctx, request.NamespacedName, workspace)
	switch {
	case apierrors.IsNotFound(err):
		err = r.cascade(ctx, request.NamespacedName)
	case err == nil:
		err = r.mark(ctx, workspace)
	}
	if errors.Is(err, errMore) {
		return reconcile.Result{RequeueAfter: watch.Settle}, nil
	}
	if err != nil || workspace.UID == "" {
		return reconcile.Result{}, err
	}
	now := r.Clock.Now()
	keys, err := tally.Of(ctx, r.Cached, workspace.Namespace, fieldindex.ApiKeyWorkspace, workspace.Name, now)
	if err != nil {
		return reconcile.Result{}, err
	}
	missing, err := watch.MissingLimit(ctx, r.Cached, workspace.Namespace, workspace.AllLimitRefs())
	if err != nil {
		return reconcile.Result{}, err
	}
	desired := desiredStatus(workspace, keys, missing, now)
	has := workspace.Status
	has.Usage = nil
	return status.Keep(ctx, r.Writer, workspace, has, desired, keys.UntilNextEnd)
}

// desiredStatus is pure. What usage says is left to those who write it.
func desiredStatus(workspace *v1alpha1.Workspace, keys tally.Tally, missingLimit string, now time.Time) v1alpha1.WorkspaceStatus {
	conditions := status.ConditionsOf(workspace, workspace.Status.Conditions, now)
	errs := validation.Workspace(workspace)
	switch {
	case len(errs) > 0:
		message := errs.ToAggregate().Error()
		conditions.Set(v1alpha1.ConditionReady, false, v1alpha1.ReasonInvalidSpec, message)
		conditions.Stalled(true, v1alpha1.ReasonInvalidSpec, message)
	case missingLimit != "":
		conditions.Set(v1alpha1.ConditionReady, false, v1alpha1.ReasonKeyLimitNotFound, fmt.Sprintf("KeyLimit %q does not exist in this namespace and limits nothing until it does", missingLimit))
		conditions.Stalled(false, "", "")
	default:
		conditions.Set(v1alpha1.ConditionReady, true, v1alpha1.ReasonReconciled, "The workspace is as it was asked to be")
		conditions.Stalled(false, "", "")
	}
	if workspace.Spec.Suspended {
		conditions.Set(v1alpha1.ConditionActive, false, v1alpha1.ReasonSuspended, "The workspace is suspended: none of its keys works")
	} else {
		conditions.Set(v1alpha1.ConditionActive, true, v1alpha1.ReasonActive, "The workspace's keys work, each as far as it goes")
	}
	if legacy := keys.Counts.Legacy; legacy > 0 {
		conditions.Set(v1alpha1.ConditionLegacyKeys, true, v1alpha1.ConditionLegacyKeys, fmt.Sprintf(
			"Keys that are not of Claviger's format: %d. Replace them by keys that Claviger makes when their users can change", legacy))
	} else {
		conditions.Remove(v1alpha1.ConditionLegacyKeys)
	}
	return v1alpha1.WorkspaceStatus{
		ObservedGeneration: workspace.Generation,
		ID:                 workspace.Namespace + "/" + workspace.Name,
		Keys:               keys.Counts,
		Conditions:         conditions.List(),
	}
}

func ofKey(_ context.Context, object client.Object) []reconcile.Request {
	key := object.(*v1alpha1.ApiKey)
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: key.Namespace, Name: key.Spec.WorkspaceRef.Name}}}
}

func ofAccount(_ context.Context, object client.Object) []reconcile.Request {
	account := object.(*v1alpha1.ServiceAccount)
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: account.Namespace, Name: account.Spec.WorkspaceRef.Name}}}
}

func (r *Reconciler) ofLimit(ctx context.Context, limit client.Object) []reconcile.Request {
	return watch.Requests(ctx, r.Cached, &v1alpha1.WorkspaceList{}, limit.GetNamespace(), fieldindex.WorkspaceLimit, limit.GetName())
}
