package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/claviger-dev/claviger/controllers"
	"github.com/claviger-dev/claviger/controllers/propagation"
	"github.com/claviger-dev/claviger/controllers/usage"
	"github.com/claviger-dev/claviger/internal/fieldindex"
	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/webhook"
)

// operatorFlags are the flags of `claviger operator`.
type operatorFlags struct {
	namespace, logLevel        string
	leaderElect                bool
	healthAddress, metricsAddr string
	webhookHost                string
	webhookPort                int
	certDir, certSecret, certs string
	webhookDNSNames            []string
	verifierURLs               []string
	verifierCA                 string
	verifierToken              string
	usageInterval              time.Duration
	usageWritesPerSecond       float64
}

// Who makes the certificates.
const (
	certsSelf     = "self"
	certsExternal = "external"
)

func operatorCommand() *cobra.Command {
	var f operatorFlags
	cmd := &cobra.Command{
		Use:   "operator",
		Short: "Make keys of what is applied, check it on admission, and show usage",
		RunE:  func(cmd *cobra.Command, _ []string) error { return runOperator(cmd.Context(), f) },
	}
	commonFlags(cmd, &f.namespace, &f.logLevel)
	flags := cmd.Flags()
	flags.BoolVar(&f.leaderElect, "leader-elect", true, "let one of several operators work and the others stand by")
	flags.StringVar(&f.healthAddress, "health-bind-address", ":8081", "address of /healthz and /readyz")
	flags.StringVar(&f.metricsAddr, "metrics-bind-address", ":8443", "address of /metrics, over HTTPS and for those whom Kubernetes allows; 0: nowhere")
	flags.StringVar(&f.webhookHost, "webhook-host", "", "address that the admission webhook listens on; empty: all")
	flags.IntVar(&f.webhookPort, "webhook-port", 9443, "port of the admission webhook")
	flags.StringVar(&f.certDir, "cert-dir", "/var/run/claviger/certs", "directory with tls.crt, tls.key and ca.crt; they may appear later")
	flags.StringVar(&f.certSecret, "cert-secret", "claviger-certs", "Secret in the operator's namespace that the certificates are kept in")
	flags.StringVar(&f.certs, "certs", certsSelf, "who makes the certificates: self, or external where cert-manager or somebody else mounts them into --cert-dir")
	flags.StringSliceVar(&f.webhookDNSNames, "webhook-dns-names", nil, "further DNS names for the certificate, comma separated")
	flags.StringSliceVar(&f.verifierURLs, "verifier-url", []string{"https://claviger-verifier-admin.claviger-system.svc:8443"},
		"the verifiers' protected ports, comma separated: each address of each is asked how far it has come, and usage is read from the first, or from any that answers where they store it in one place; empty: neither usage nor how far a revocation has come is shown")
	flags.StringVar(&f.verifierCA, "verifier-ca", "", "file with the authority of the verifier's certificate (default <cert-dir>/ca.crt)")
	flags.StringVar(&f.verifierToken, "verifier-token-file", "/var/run/secrets/claviger.dev/verifier/token", "file with a token of the operator's service account for the audience "+usagefeed.Audience+", to show to the verifier")
	flags.DurationVar(&f.usageInterval, "usage-interval", 10*time.Second, "how often to read usage from the verifier")
	flags.Float64Var(&f.usageWritesPerSecond, "usage-writes-per-second", 20, "how many statuses with usage to write at most, of all kinds together")
	return cmd
}

func runOperator(ctx context.Context, f operatorFlags) error {
	log, err := setUpLogs(f.logLevel)
	if err != nil {
		return err
	}
	config, err := clusterConfig()
	if err != nil {
		return err
	}
	log.Info("Starting the operator", "version", versionText())
	boundMemory(ctx, log)
	mgr, err := newManager(config, f)
	if err != nil {
		return fmt.Errorf("cannot start the operator: %w", err)
	}
	if err := fieldindex.Register(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	options := controllers.Options{Namespace: f.namespace, Metrics: metrics.Registry}
	if err := setUpVerifiers(mgr, f, &options); err != nil {
		return err
	}
	if err := controllers.Setup(ctx, mgr, options); err != nil {
		return err
	}
	if err := setUpWebhook(mgr, f); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// setUpWebhook also adds the probes: what an operator that does not lead is ready for is
// admission.
func setUpWebhook(mgr ctrl.Manager, f operatorFlags) error {
	var certsReady <-chan struct{}
	switch f.certs {
	case certsSelf:
		var err error
		certsReady, err = webhook.AddCertRotation(mgr, webhook.CertOptions{
			Namespace: f.namespace, SecretName: f.certSecret, CertDir: f.certDir, DNSNames: f.webhookDNSNames,
		})
		if err != nil {
			return err
		}
	case certsExternal:
	default:
		return fmt.Errorf("--certs must be %s or %s; it is %q", certsSelf, certsExternal, f.certs)
	}
	if err := webhook.Setup(mgr, webhook.Options{}); err != nil {
		return err
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	return mgr.AddReadyzCheck("webhook", webhook.ReadyCheck(mgr.GetWebhookServer(), certsReady))
}

// setUpVerifiers adds what asks the verifiers, and tells the controllers of it.
func setUpVerifiers(mgr ctrl.Manager, f operatorFlags, o *controllers.Options) error {
	if len(f.verifierURLs) == 0 {
		return nil
	}
	if f.verifierCA == "" {
		f.verifierCA = filepath.Join(f.certDir, "ca.crt")
	}
	verifiers, err := propagation.New(propagation.Options{
		VerifierURLs: f.verifierURLs, CAFile: f.verifierCA, TokenFile: f.verifierToken,
		Metrics: metrics.Registry, Log: mgr.GetLogger().WithName("propagation"),
	})
	if err != nil {
		return err
	}
	writer, err := usage.NewWriter(mgr.GetConfig(), client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return err
	}
	writeBack, err := usage.New(usage.Options{
		Client: mgr.GetClient(), Writer: writer, Informers: mgr.GetCache(), Events: mgr.GetEventRecorder(controllers.Reporter),
		VerifierURLs: f.verifierURLs, CAFile: f.verifierCA, TokenFile: f.verifierToken,
		Interval: f.usageInterval, WritesPerSecond: f.usageWritesPerSecond,
		Metrics: metrics.Registry, Log: mgr.GetLogger().WithName("usage"),
	})
	if err != nil {
		return err
	}
	o.Propagation = verifiers
	o.UsageKnownUntil = func(keyID string) time.Time { return writeBack.KnownUntilOf(keyID, verifiers.Alone()) }
	if err := mgr.Add(verifiers); err != nil {
		return err
	}
	return mgr.Add(writeBack)
}
