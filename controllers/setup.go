// Package controllers registers what turns the four kinds into hashed Secrets, delivered
// Secrets and status. Nothing else writes key material.
//
// RBAC cannot select Secrets by label; the caches do.
//
// +kubebuilder:rbac:groups=keys.claviger.dev,resources=workspaces;apikeys;serviceaccounts;keylimits,verbs=get;list;watch
// +kubebuilder:rbac:groups=keys.claviger.dev,resources=workspaces/status;apikeys/status;serviceaccounts/status;keylimits/status,verbs=patch
// +kubebuilder:rbac:groups=keys.claviger.dev,resources=apikeys,verbs=delete
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="";events.k8s.io,resources=events,verbs=create;patch
package controllers

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/claviger-dev/claviger/controllers/apikey"
	"github.com/claviger-dev/claviger/controllers/expiry"
	"github.com/claviger-dev/claviger/controllers/keylimit"
	"github.com/claviger-dev/claviger/controllers/serviceaccount"
	"github.com/claviger-dev/claviger/controllers/workspace"
)

// Reporter is the name under which Events are reported.
const Reporter = "claviger-operator"

// defaultConcurrency is how many ApiKeys are reconciled at a time: each waits for the API server
// most of the time.
const defaultConcurrency = 16

// Options are what the controllers need besides their manager.
type Options struct {
	// Namespace is where the hashed Secrets live: the operator's own. Required.
	Namespace string
	// Clock is the real one where it is nil.
	Clock clock.PassiveClock
	// Propagation and UsageKnownUntil are as those of apikey.Reconciler.
	Propagation     apikey.Propagation
	UsageKnownUntil func(keyID string) time.Time
	// MaxConcurrentReconciles of ApiKeys; 16 where it is 0.
	MaxConcurrentReconciles int
	// Metrics is where it is told how many keys end soon; nil: nowhere.
	Metrics prometheus.Registerer
}

// Setup registers the controllers. The manager must have been made with CacheOptions and
// ClientOptions, and its cache must have the indexes of internal/fieldindex.
func Setup(ctx context.Context, mgr ctrl.Manager, o Options) error {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.MaxConcurrentReconciles == 0 {
		o.MaxConcurrentReconciles = defaultConcurrency
	}
	hashed, err := addHashedCache(ctx, mgr, o.Namespace)
	if err != nil {
		return err
	}
	// The cache itself, because the client reads Secrets past it.
	cached, writer := mgr.GetCache(), mgr.GetClient()
	if o.Metrics != nil {
		if err := o.Metrics.Register(&expiry.Collector{Cached: cached, Clock: o.Clock, Leads: mgr.Elected()}); err != nil {
			return err
		}
	}
	keys := &apikey.Reconciler{
		Namespace: o.Namespace,
		Cached:    cached,
		Hashed:    hashed,
		Live:      mgr.GetAPIReader(),
		Writer:    writer,
		Events:    mgr.GetEventRecorder(Reporter),
		Clock:     o.Clock,

		Propagation: o.Propagation, UsageKnownUntil: o.UsageKnownUntil,
	}
	if err := keys.SetupWithManager(ctx, mgr, hashed, o.MaxConcurrentReconciles); err != nil {
		return err
	}
	for _, reconciler := range []interface{ SetupWithManager(ctrl.Manager) error }{
		&workspace.Reconciler{Cached: cached, Live: mgr.GetAPIReader(), Writer: writer, Clock: o.Clock},
		&serviceaccount.Reconciler{Cached: cached, Live: mgr.GetAPIReader(), Writer: writer, Clock: o.Clock},
		&keylimit.Reconciler{Cached: cached, Writer: writer, Clock: o.Clock},
	} {
		if err := reconciler.SetupWithManager(mgr); err != nil {
			return err
		}
	}
	return nil
}
