// Package status writes what the controllers have to say about an object into its status,
// by server-side apply, so that what others own there (usage) is left alone.
package status

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers/watch"
)

// FieldManager owns all of a status but the usage.
const FieldManager = "claviger-operator"

// The API server takes no longer message.
const maxMessage = 1024

// Apply writes a status of the object as it was read, and returns the resource version that
// the write made. The error is a conflict if the object has changed since it was read or is another of
// the same name: a UID alone would not do, because the API server ignores it here.
func Apply(ctx context.Context, writer client.Client, object client.Object, status any) (string, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(status)
	if err != nil {
		return "", err
	}
	applied := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{
			"namespace": object.GetNamespace(), "name": object.GetName(),
			"uid": string(object.GetUID()), "resourceVersion": object.GetResourceVersion(),
		},
		"status": content,
	}}
	kind, err := writer.GroupVersionKindFor(object)
	if err != nil {
		return "", err
	}
	applied.SetGroupVersionKind(kind)
	err = writer.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(applied),
		client.FieldOwner(FieldManager), client.ForceOwnership)
	return applied.GetResourceVersion(), err
}

// Keep applies a status unless the object has it, and says when to look again: after a
// while (zero: not by itself), or soon where the object changed meanwhile.
func Keep[Status any](ctx context.Context, writer client.Client, object client.Object, has, desired Status, again time.Duration) (reconcile.Result, error) {
	if equality.Semantic.DeepEqual(has, desired) {
		return reconcile.Result{RequeueAfter: again}, nil
	}
	_, err := Apply(ctx, writer, object, &desired)
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: watch.Settle}, nil
	}
	return reconcile.Result{RequeueAfter: again}, client.IgnoreNotFound(err)
}

// Conditions are an object's conditions as they are rewritten. Those that stay as they
// were keep the time of their last transition.
type Conditions struct {
	list       []metav1.Condition
	generation int64
	now        time.Time
}

// ConditionsOf begins with the conditions an object has.
func ConditionsOf(object client.Object, list []metav1.Condition, now time.Time) *Conditions {
	return &Conditions{append([]metav1.Condition(nil), list...), object.GetGeneration(), now}
}

// List returns the conditions as they are to be written.
func (c *Conditions) List() []metav1.Condition { return c.list }

// Set sets a condition.
func (c *Conditions) Set(kind string, is bool, reason, message string) {
	status := metav1.ConditionFalse
	if is {
		status = metav1.ConditionTrue
	}
	if runes := []rune(message); len(runes) > maxMessage {
		message = string(runes[:maxMessage-1]) + "…"
	}
	meta.SetStatusCondition(&c.list, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: message,
		ObservedGeneration: c.generation,
		LastTransitionTime: metav1.NewTime(c.now.Truncate(time.Second)),
	})
}

// Stalled sets the condition of that name, or removes it where nothing is stalled.
func (c *Conditions) Stalled(stalled bool, reason, message string) {
	if stalled {
		c.Set(v1alpha1.ConditionStalled, true, reason, message)
		return
	}
	c.Remove(v1alpha1.ConditionStalled)
}

// Remove takes a condition off.
func (c *Conditions) Remove(kind string) { meta.RemoveStatusCondition(&c.list, kind) }
