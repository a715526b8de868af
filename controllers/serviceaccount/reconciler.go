// Package serviceaccount keeps the tokens of ServiceAccounts, and their status: how many of their keys work.
//
// +kubebuilder:rbac:groups=keys.claviger.dev,resources=serviceaccounts;apikeys,verbs=get;list;watch
// +kubebuilder:rbac:groups=keys.claviger.dev,resources=apikeys,verbs=create;patch;delete
package serviceaccount

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers/status"
	"github.com/claviger-dev/claviger/controllers/tally"
	"github.com/claviger-dev/claviger/controllers/watch"
	"github.com/claviger-dev/claviger/internal/fieldindex"
	"github.com/claviger-dev/claviger/internal/validation"
)

// Reconciler reconciles ServiceAccounts.
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
		Named("serviceaccount").
		For(&v1alpha1.ServiceAccount{}, builder.WithPredicates(changed())).
		Owns(&v1alpha1.ApiKey{}, builder.WithPredicates(watch.SpecChanged())).
		Watches(&v1alpha1.ApiKey{}, watch.Coalesced(ofKey), builder.WithPredicates(tally.Changed())).
		Watches(&v1alpha1.Workspace{}, watch.Coalesced(r.referring(fieldindex.ServiceAccountWorkspace)), builder.WithPredicates(watch.SpecChanged())).
		Watches(&v1alpha1.KeyLimit{}, watch.Coalesced(r.referring(fieldindex.ServiceAccountLimit)), builder.WithPredicates(watch.Existence())).
		Complete(r)
}

// changed lets pass changes of the spec, and that a token is to be renewed.
func changed() predicate.Predicate {
	return predicate.Or(watch.SpecChanged(), predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetAnnotations()[v1alpha1.AnnotationRegenerate] != e.ObjectNew.GetAnnotations()[v1alpha1.AnnotationRegenerate]
	}})
}

// Reconcile keeps a ServiceAccount's token and writes its status.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	account := &v1alpha1.ServiceAccount{}
	if err := r.Cached.Get(ctx, request.NamespacedName, account); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	token, problem, err := r.keepToken(ctx, account)
	switch {
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), errors.Is(err, errOutdated):
		return reconcile.Result{RequeueAfter: watch.Settle}, nil
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return reconcile.Result{}, nil
	case err != nil:
		return reconcile.Result{}, err
	}
	now := r.Clock.Now()
	keys, err := tally.Of(ctx, r.Cached, account.Namespace, fieldindex.ApiKeyServiceAccount, account.Name, now)
	if err != nil {
		return reconcile.Result{}, err
	}
	facts, err := r.facts(ctx, account)
	if err != nil {
		return reconcile.Result{}, err
	}
	facts.token, facts.problem = token, problem
	desired := desiredStatus(account, facts, keys, now)
	again := keys.UntilNextEnd
	if problem != nil && (again == 0 || again > refusalRetry) {
		again = refusalRetry
	}
	has := account.Status
	has.Usage = nil
	return status.Keep(ctx, r.Writer, account, has, desired, again)
}

// facts are what the status depends on besides the account itself.
type facts struct {
	workspace    *v1alpha1.Workspace // nil: does not exist
	missingLimit string
	// token is the account's own key, nil: there is none; problem is what is in its way.
	token   *v1alpha1.ApiKey
	problem *problem
}

func (r *Reconciler) facts(ctx context.Context, account *v1alpha1.ServiceAccount) (f facts, err error) {
	workspace := &v1alpha1.Workspace{}
	at := client.ObjectKey{Namespace: account.Namespace, Name: account.Spec.WorkspaceRef.Name}
	switch err := r.Cached.Get(ctx, at, workspace, client.UnsafeDisableDeepCopy); {
	case err == nil:
		f.workspace = workspace
	case !apierrors.IsNotFound(err):
		return f, err
	}
	f.missingLimit, err = watch.MissingLimit(ctx, r.Cached, account.Namespace, account.Spec.LimitRefs)
	return f, err
}

// desiredStatus is pure. What usage says is left to those who write it.
func desiredStatus(account *v1alpha1.ServiceAccount, f facts, keys tally.Tally, now time.Time) v1alpha1.ServiceAccountStatus {
	conditions := status.ConditionsOf(account, account.Status.Conditions, now)
	reason, message := readiness(account, f)
	conditions.Set(v1alpha1.ConditionReady, reason == v1alpha1.ReasonReconciled, reason, message)
	conditions.Stalled(reason == v1alpha1.ReasonInvalidSpec || f.problem != nil && f.problem.stalled, reason, message)

	switch {
	case account.Spec.Suspended:
		conditions.Set(v1alpha1.ConditionActive, false, v1alpha1.ReasonSuspended, "The account is suspended: none of its keys works")
	case f.workspace == nil:
		conditions.Set(v1alpha1.ConditionActive, false, v1alpha1.ReasonWorkspaceNotFound, "The account's workspace does not exist: none of its keys works")
	case f.workspace.Spec.Suspended:
		conditions.Set(v1alpha1.ConditionActive, false, v1alpha1.ReasonWorkspaceSuspended, fmt.Sprintf("Workspace %q is suspended", f.workspace.Name))
	default:
		conditions.Set(v1alpha1.ConditionActive, true, v1alpha1.ReasonActive, "The account's keys work, each as far as it goes")
	}
	return v1alpha1.ServiceAccountStatus{
		ObservedGeneration: account.Generation,
		ActiveKeys:         keys.Counts.Active,
		Token:              tokenStatus(f.token),
		Conditions:         conditions.List(),
	}
}

func tokenStatus(token *v1alpha1.ApiKey) *v1alpha1.AccountTokenStatus {
	if token == nil {
		return nil
	}
	return &v1alpha1.AccountTokenStatus{ApiKeyName: token.Name, KeyID: token.Status.KeyID, ExpiresAt: token.Status.ExpiresAt}
}

func readiness(account *v1alpha1.ServiceAccount, f facts) (reason, message string) {
	if f.workspace == nil {
		return v1alpha1.ReasonWorkspaceNotFound, fmt.Sprintf("Workspace %q does not exist in this namespace: create it, or correct the name", account.Spec.WorkspaceRef.Name)
	}
	if errs := validation.ServiceAccount(account, nil); len(errs) > 0 {
		return v1alpha1.ReasonInvalidSpec, errs.ToAggregate().Error()
	}
	if f.problem != nil {
		return f.problem.reason, f.problem.message
	}
	if f.missingLimit != "" {
		return v1alpha1.ReasonKeyLimitNotFound, fmt.Sprintf("KeyLimit %q does not exist in this namespace and limits nothing until it does", f.missingLimit)
	}
	return v1alpha1.ReasonReconciled, "The account is as it was asked to be"
}

func ofKey(_ context.Context, object client.Object) []reconcile.Request {
	key := object.(*v1alpha1.ApiKey)
	if key.Spec.ServiceAccountRef == nil {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: key.Namespace, Name: key.Spec.ServiceAccountRef.Name}}}
}

func (r *Reconciler) referring(index string) func(context.Context, client.Object) []reconcile.Request {
	return func(ctx context.Context, object client.Object) []reconcile.Request {
		return watch.Requests(ctx, r.Cached, &v1alpha1.ServiceAccountList{}, object.GetNamespace(), index, object.GetName())
	}
}
