package main

import (
	"crypto/tls"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers"
	"github.com/claviger-dev/claviger/internal/servingcert"
	"github.com/claviger-dev/claviger/webhook"
)

// newManager makes the operator's manager. Nothing in it waits for the certificates: keys
// are made before the webhook can be asked.
func newManager(config *rest.Config, f operatorFlags) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	certificate := servingcert.New(f.certDir, ctrl.Log.WithName("metrics"))
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme,
		Cache:  controllers.CacheOptions(),
		Client: controllers.ClientOptions(),

		LeaderElection:          f.leaderElect,
		LeaderElectionID:        "claviger-operator",
		LeaderElectionNamespace: f.namespace,
		// The process ends with the manager, so that another may lead at once.
		LeaderElectionReleaseOnCancel: true,

		HealthProbeBindAddress: f.healthAddress,
		Metrics: metricsserver.Options{
			BindAddress:    f.metricsAddr,
			SecureServing:  true,
			FilterProvider: filters.WithAuthenticationAndAuthorization,
			TLSOpts:        []func(*tls.Config){certificate.Configure},
		},
		WebhookServer: webhook.NewServer(f.webhookHost, f.webhookPort, f.certDir),
	})
	if err != nil {
		return nil, err
	}
	return mgr, mgr.Add(certificate)
}
