// Package apikey turns ApiKeys into keys: a delivered Secret, a hashed Secret and a status.
//
// Reconcile is a list of small phases over one scope. What to do about key material is
// decided by package issuance, which is pure; what a person is told is derived in status.go, which is
// pure, too. Everything else here reads and writes.
package apikey

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

const (
	// soon is when to look again after somebody else was faster.
	soon = time.Second
	// ownWriteWait bounds how long the event of an own write is waited for.
	ownWriteWait = 5 * time.Second
)

// Reconciler reconciles ApiKeys.
type Reconciler struct {
	// Namespace holds the hashed Secrets.
	Namespace string
	// Cached reads the four kinds, and the metadata of delivered Secrets; Hashed reads the hashed
	// Secrets. Both may be behind.
	Cached, Hashed client.Reader
	// Live reads from the API server.
	Live   client.Reader
	Writer client.Client
	Events events.EventRecorder
	Clock  clock.PassiveClock
	// Propagation knows how far the verifiers have come; nil: nobody does, and nothing waits for them.
	Propagation Propagation
	// UsageKnownUntil is until when every use of a key, by its ID, shows in its status, zero where that is not known;
	// nil: never.
	UsageKnownUntil func(keyID string) time.Time

	memory memory
}

// phases run in this order; one that ends the scope's work says so in the scope.
var phases = []func(*Reconciler, context.Context, *scope) error{
	(*Reconciler).deleteOrphans,
	(*Reconciler).findReferences,
	(*Reconciler).issue,
	(*Reconciler).approve,
	(*Reconciler).expire,
	(*Reconciler).dress,
	(*Reconciler).report,
}

// Reconcile brings one ApiKey's Secrets and status to what it asks for.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	s, err := r.open(ctx, request.NamespacedName)
	if err != nil {
		return reconcile.Result{}, err
	}
	if s.key != nil && r.memory.awaitsOwnWrite(s.key) {
		// The cache is behind; the event that brings it up to date comes here, too.
		return reconcile.Result{RequeueAfter: ownWriteWait}, nil
	}
	for _, phase := range phases {
		if err := phase(r, ctx, s); err != nil {
			return r.failed(ctx, s, err)
		}
		if s.done {
			break
		}
	}
	return reconcile.Result{RequeueAfter: s.requeueAfter}, nil
}

// failed tells failures that are no fault, and pass, from those to report and back off from.
func (r *Reconciler) failed(ctx context.Context, s *scope, err error) (reconcile.Result, error) {
	switch {
	case isNamespaceTerminating(err):
		// The ApiKey goes with its namespace; nothing is left to do but to wait for that.
		log.FromContext(ctx).V(1).Info("The namespace is being deleted; no key is made in it")
		return reconcile.Result{}, nil
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), errors.Is(err, errChanged):
		log.FromContext(ctx).V(1).Info("Something changed meanwhile; looking again", "reason", err.Error())
		return reconcile.Result{RequeueAfter: soon}, nil
	case s.isDeletedMeanwhile(err):
		// The event of that is on its way.
		return reconcile.Result{RequeueAfter: soon}, nil
	case s.key != nil && isNamespaceMissing(err, r.Namespace):
		// Only who installs the operator can help; who made the ApiKey is told whom to ask.
		err = fmt.Errorf("the operator's namespace %q does not exist: create it, or set the operator's --namespace to the one that holds the hashed Secrets", r.Namespace)
		s.problem = &problem{reason: v1alpha1.ReasonWriteRefused, message: "No key can be issued: " + err.Error()}
		return reconcile.Result{}, errors.Join(err, r.report(ctx, s))
	}
	return reconcile.Result{}, err
}

// open begins a scope with what the caches hold.
func (r *Reconciler) open(ctx context.Context, name client.ObjectKey) (*scope, error) {
	s := &scope{name: name, now: r.Clock.Now(), verifiers: r.Propagation}
	var err error
	if s.hashed, err = r.hashedSecrets(ctx, name); err != nil {
		return nil, err
	}
	key := &v1alpha1.ApiKey{}
	switch err := r.Cached.Get(ctx, name, key); {
	case apierrors.IsNotFound(err):
		r.memory.forget(name)
		return s, nil
	case err != nil:
		return nil, err
	}
	if r.UsageKnownUntil != nil {
		s.usageTold, s.usageKnownUntil = true, r.UsageKnownUntil(string(key.UID))
	}
	s.cachedVersion = key.ResourceVersion
	s.setKey(key)
	return s, nil
}
