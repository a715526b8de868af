package doctor

import (
	"context"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/cli/ask"
)

// The operator's Deployment, and its Lease.
const operatorName = "claviger-operator"

func (d *Doctor) operator(ctx context.Context) {
	const subject = "operator"
	lease := &coordinationv1.Lease{}
	if d.get(ctx, subject, lease, d.System, operatorName, "get leases.coordination.k8s.io in namespace "+d.System, func() {
		d.fail(subject, "none has ever led: there is no Lease %s in namespace %s. Is Claviger installed there (--system-namespace)?", operatorName, d.System)
	}) {
		d.leader(lease)
	}
	// Where it does not run in the cluster, as with make run, there is none.
	deployment := &appsv1.Deployment{}
	err := d.Client.Get(ctx, client.ObjectKey{Namespace: d.System, Name: operatorName}, deployment)
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		d.unseen(subject, err, "get deployments.apps in namespace "+d.System)
	default:
		d.replicas(deployment)
	}
}

func (d *Doctor) leader(lease *coordinationv1.Lease) {
	const subject = "operator"
	if lease.Spec.RenewTime == nil || lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" {
		d.fail(subject, "none leads at the moment, so that no key is made or rotated; keys that there are work on. It should take seconds until one does")
		return
	}
	length := 15 * time.Second
	if lease.Spec.LeaseDurationSeconds != nil {
		length = time.Duration(*lease.Spec.LeaseDurationSeconds) * time.Second
	}
	silent := max(0, d.Now().Sub(lease.Spec.RenewTime.Time))
	// Twice as long, because clocks differ.
	if silent > 2*length {
		d.fail(subject, "the leader has been silent for %s, so that no key is made or rotated; keys that there are work on: kubectl get pods -n %s", duration.HumanDuration(silent), d.System)
		return
	}
	d.ok(subject, "one leads, and was heard of %s ago", duration.HumanDuration(silent))
}

func (d *Doctor) replicas(deployment *appsv1.Deployment) {
	const subject = "operator"
	wanted := int32(1)
	if deployment.Spec.Replicas != nil {
		wanted = *deployment.Spec.Replicas
	}
	switch have := deployment.Status.AvailableReplicas; {
	case have == 0 && wanted > 0:
		d.fail(subject, "none of %d replicas is available: kubectl get pods -n %s", wanted, d.System)
	case have < wanted:
		d.warn(subject, "%d of %d replicas are available: kubectl get pods -n %s", have, wanted, d.System)
	default:
		d.ok(subject, "%d of %d replicas are available", have, wanted)
	}
}

func (d *Doctor) endpoints(ctx context.Context) {
	// Outside of a cluster, as with make run, there are no Services.
	err := d.Client.Get(ctx, client.ObjectKey{Namespace: d.System, Name: ask.Service}, &corev1.Service{})
	switch {
	case !apierrors.IsNotFound(err):
	case d.Direct:
		d.ok("verifier", "there is no Service %s in namespace %s, and it is asked at its URL", ask.Service, d.System)
		return
	default:
		d.fail("verifier", "there is no Service %s in namespace %s: is Claviger installed there (--system-namespace)? Or give --verifier-url", ask.Service, d.System)
		return
	}
	if d.answers(ctx, "verifier", d.System, ask.Service) {
		d.ok("verifier", "there is one behind Service %s", ask.Service)
	}
}

func (d *Doctor) verifier(ctx context.Context) {
	const subject = "verifier"
	status, text, err := d.Verifier.Get(ctx, "readyz")
	said := strings.TrimSpace(string(text))
	switch {
	case err != nil && strings.HasPrefix(err.Error(), "you may not"):
		d.warn(subject, "%v", err)
	case err != nil:
		d.fail(subject, "%v", err)
	case status != 200:
		d.fail(subject, "it says %q (HTTP status %d): without keys it answers nobody; look at its log", said, status)
	case said == "ok":
		d.ok(subject, "it is ready, and follows the cluster")
	default:
		d.warn(subject, "it says %q: it answers, and something is behind; look at its log", said)
	}
}

// late is when a revocation should have been heard of everywhere.
const late = time.Minute

// revocations tells how fast verifiers hear of them, by those that there were in the user's namespace.
func (d *Doctor) revocations(ctx context.Context) {
	const subject = "revocations"
	keys := &v1alpha1.ApiKeyList{}
	if err := d.Client.List(ctx, keys, client.InNamespace(d.Namespace)); err != nil {
		d.unseen(subject, err, "list apikeys.keys.claviger.dev in namespace "+d.Namespace)
		return
	}
	var open, done int
	var slowest time.Duration
	for i := range keys.Items {
		r := keys.Items[i].Status.Revocation
		switch {
		case r == nil || r.RequestedAt == nil:
		case r.PropagatedAt != nil:
			done++
			slowest = max(slowest, r.PropagatedAt.Sub(r.RequestedAt.Time))
		case d.Now().Sub(r.RequestedAt.Time) > late:
			open++
		}
	}
	switch {
	case open > 0:
		d.warn(subject, "%d in namespace %s have not been seen to reach every verifier for more than a minute: does the operator reach the verifier's protected port? A verifier that follows the cluster refuses these keys all the same", open, d.Namespace)
	case done > 0:
		d.ok(subject, "all %d in namespace %s have reached every verifier, the slowest within %s", done, d.Namespace, slowest)
	default:
		d.ok(subject, "there is none in namespace %s to go by", d.Namespace)
	}
}
