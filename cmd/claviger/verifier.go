package main

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/limitstore/valkey"
	"github.com/claviger-dev/claviger/internal/manifests"
	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/serve"
)

func verifierCommand() *cobra.Command {
	var (
		options        serve.Options
		check          bool
		trustedProxies []string
		logLevel       string
	)
	cmd := &cobra.Command{
		Use:   "verifier",
		Short: "Say whether a request that bears a key may pass",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if options.Log, err = setUpLogs(logLevel); err != nil {
				return err
			}
			if options.TrustedProxies, err = parsePrefixes(trustedProxies); err != nil {
				return err
			}
			if err := checkStaleness(options.MaxStaleness); err != nil {
				return err
			}
			if err := checkBounds(cmd.Flags(), options); err != nil {
				return err
			}
			if check {
				return checkManifests(options)
			}
			if options.Manifests != "" {
				err = withoutCluster(cmd.Flags(), &options)
			} else {
				options.Config, err = clusterConfig()
			}
			if err != nil {
				return err
			}
			options.Tracing.Version = versionText()
			options.Log.Info("Starting the verifier", "version", versionText())
			boundMemory(cmd.Context(), options.Log)
			return serve.Run(cmd.Context(), options)
		},
	}
	commonFlags(cmd, &options.Namespace, &logLevel)
	flags := cmd.Flags()
	flags.StringVar(&options.Manifests, "manifests", "", "directory with manifests to take the keys from, instead of a cluster; then --listen is 127.0.0.1:8080 unless it is set, usage is counted only with --usage-db, and the door for Envoy is there only with --extauthz-listen; --admin-listen is plain HTTP, on this machine and only if it is set")
	flags.BoolVar(&check, "check", false, "say whether the directory of --manifests is right, and end")
	flags.StringVar(&options.Listen, "listen", ":8080", "address of the doors, /healthz and /readyz")
	flags.StringVar(&options.ExtAuthzListen, "extauthz-listen", ":9191", "address of the door for Envoy, external authorization over gRPC, with gRPC health (empty: none)")
	flags.StringVar(&options.AdminListen, "admin-listen", ":8443", "address of the protected port: metrics, usage and profiles over HTTPS")
	flags.StringVar(&options.CertDir, "cert-dir", "/var/run/claviger/certs", "directory with tls.crt and tls.key for the protected port; they may appear later")
	flags.StringVar(&options.TLSCertDir, "tls-cert-dir", "", "directory with tls.crt and tls.key for the doors, which then speak HTTPS; they may appear later and change (empty: plain HTTP)")
	flags.StringVar(&options.ClientCAFile, "client-ca-file", "", "file with the authorities in PEM that clients of the doors must be certified by; it may change (empty: no client needs a certificate)")
	flags.StringVar(&options.HealthListen, "health-listen", "", "address of another port, in plain HTTP, with /healthz and /readyz alone, for probes that cannot present a certificate (empty: none)")
	flags.IntVar(&options.MaxConnections, "max-connections", serve.DefaultMaxConnections, "connections to the doors at once, at least 1; more are closed")
	flags.IntVar(&options.MaxConnectionsPerSource, "max-connections-per-source", serve.DefaultMaxConnectionsPerSource, "connections to the doors at once from one IPv4 address or IPv6 /64; more are closed")
	flags.IntVar(&options.MaxInFlight, "max-in-flight", 0, "requests that are read and decided at once; more are answered 503 (0: 512 for each processor)")
	flags.IntVar(&options.InvalidKeysPerMinute, "invalid-keys-per-minute", verifier.DefaultInvalidKeysPerMinute, "invalid keys that are borne from one IPv4 address or IPv6 /64; more are answered 429, valid ones never (-1: any number)")
	flags.StringVar(&options.UsageDB, "usage-db", "/var/lib/claviger/usage.db", "file to count usage in, and to keep in what is used of limits; it is made where it is missing")
	flags.StringVar(&options.UsageStore.URL, "usage-url", "", "PostgreSQL in which verifiers count usage together, instead of in --usage-db: postgres://user@host:5432/database?sslmode=verify-full (empty: each verifier counts for itself)")
	flags.StringVar(&options.UsageStore.PasswordFile, "usage-password-file", "", "file with the password for --usage-url; it is read again for each connection")
	flags.StringVar(&options.UsageJournal, "usage-journal", "", "directory of this verifier's own for what is counted and not stored yet (empty: beside --usage-db, with the ending .pending)")
	flags.BoolVar(&options.MetricsPerKey, "metrics-per-key", false, "count the requests of each key in a Prometheus series of its own, of up to 10,000 keys")
	flags.StringVar(&options.Tracing.Endpoint, "otlp-endpoint", "", "collector that traces are sent to, by OTLP over gRPC: http://localhost:4317, or https:// for TLS (empty: there are no traces)")
	flags.Float64Var(&options.Tracing.SampleRatio, "trace-sample-ratio", 0.01, "share of the traces that begin here which are sent, from 0 to 1; of those that began before, whoever began them decides")
	flags.StringVar(&options.SharedLimits.URL, "limits-url", "", "Valkey or Redis in which verifiers count limits together: redis://user@host:6379, rediss:// for TLS, several hosts with commas for a cluster (empty: each verifier counts for itself)")
	flags.StringVar(&options.SharedLimits.PasswordFile, "limits-password-file", "", "file with the password for --limits-url; it is read again for each connection")
	flags.DurationVar(&options.SharedLimits.Timeout, "limits-timeout", valkey.DefaultTimeout, "how long a request waits for --limits-url before --limits-outage decides")
	flags.StringVar(&options.SharedLimits.Outage, "limits-outage", "local", "what becomes of requests while --limits-url is away: local (each verifier admits its share of the limits), open (limits do not hold) or closed (what limits hold for is refused)")
	flags.StringVar(&options.SnapshotDir, "snapshot-dir", "", "directory of this verifier's own for snapshots of what it knows, to start from while the API server is away; empty keeps none")
	flags.DurationVar(&options.MaxStaleness, "max-staleness", 0, "for how long keys are honoured while the API server is away, at least 2m; 0 is forever")
	flags.StringSliceVar(&trustedProxies, "trusted-proxies", nil, "networks whose X-Forwarded-For is believed, for example 10.0.0.0/8,fd00::/8")
	flags.StringVar(&options.QueryKey, "query-key", "", "parameter of the client's URL that may hold a key, for example api_key; URLs end up in logs, so that keys do too (empty: none may)")
	flags.DurationVar(&options.ShutdownTimeout, "shutdown-timeout", 20*time.Second, "what requests that are under way get to end in")
	return cmd
}

// withoutCluster takes back the defaults that are for a pod, and refuses what is about a cluster.
func withoutCluster(flags *pflag.FlagSet, options *serve.Options) error {
	for _, name := range []string{"namespace", config.KubeconfigFlagName, "cert-dir", "snapshot-dir", "max-staleness"} {
		if flags.Changed(name) {
			return fmt.Errorf("--%s is about a cluster and means nothing with --manifests: leave it out", name)
		}
	}
	for name, value := range map[string]*string{
		"listen": &options.Listen, "extauthz-listen": &options.ExtAuthzListen, "admin-listen": &options.AdminListen, "usage-db": &options.UsageDB,
	} {
		if !flags.Changed(name) {
			*value = map[string]string{"listen": "127.0.0.1:8080"}[name]
		}
	}
	return nil
}

func checkManifests(options serve.Options) error {
	if options.Manifests == "" {
		return errors.New("--check is about the directory of --manifests: give that, too")
	}
	_, err := manifests.New(manifests.Options{Directory: options.Manifests, Index: keyindex.New(), Log: options.Log})
	return err
}

// checkBounds refuses what would mean nothing, or something else than whoever set it thinks.
func checkBounds(flags *pflag.FlagSet, o serve.Options) error {
	switch {
	case flags.Changed("listen") && o.Listen == "":
		return errors.New("--listen must not be empty, as the doors are there: give an address such as :8080, or 127.0.0.1:8080 for this machine only")
	case o.MaxConnections < 1 || o.MaxConnectionsPerSource < 1:
		return errors.New("--max-connections and --max-connections-per-source must be at least 1: leave them out for the defaults")
	case o.MaxInFlight < 0:
		return fmt.Errorf("--max-in-flight must be 0, for 512 for each processor, or more; it is %d", o.MaxInFlight)
	case o.ShutdownTimeout < 0:
		return fmt.Errorf("--shutdown-timeout must be 0 or more; it is %s", o.ShutdownTimeout)
	case o.SharedLimits.Timeout <= 0:
		return fmt.Errorf("--limits-timeout must be more than 0, for example 100ms; it is %s", o.SharedLimits.Timeout)
	case o.SharedLimits.URL == "" && (flags.Changed("limits-password-file") || flags.Changed("limits-timeout") || flags.Changed("limits-outage")):
		return errors.New("--limits-password-file, --limits-timeout and --limits-outage are about --limits-url: give that, too, or leave them out")
	case o.Tracing.Endpoint == "" && flags.Changed("trace-sample-ratio"):
		return errors.New("--trace-sample-ratio is about --otlp-endpoint: give that, too, or leave it out")
	case o.UsageStore.URL == "" && flags.Changed("usage-password-file"):
		return errors.New("--usage-password-file is about --usage-url: give that, too, or leave it out")
	case o.UsageStore.URL == "" && o.UsageDB == "" && o.UsageJournal != "":
		return errors.New("--usage-journal is about counting usage: give --usage-db or --usage-url, too, or leave it out")
	case !plainName(o.QueryKey):
		return errors.New("--query-key must be made of letters, digits, '-', '.', '_' and '~': anything else is escaped in URLs")
	}
	return nil
}

// plainName is true for what stands in a URL as it is (RFC 3986, unreserved).
func plainName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~') {
			return false
		}
	}
	return true
}

// checkStaleness refuses what the silence between two words of a healthy API server would exceed.
func checkStaleness(longest time.Duration) error {
	if longest < 0 || 0 < longest && longest < 2*time.Minute {
		return fmt.Errorf("--max-staleness must be 0 or at least 2m, because an API server with nothing to tell speaks about every minute; it is %s", longest)
	}
	return nil
}

// parsePrefixes reads networks; an address alone is a network of one.
func parsePrefixes(texts []string) ([]netip.Prefix, error) {
	prefixes := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if address, addressErr := netip.ParseAddr(text); addressErr == nil {
			prefix, err = address.Prefix(address.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("--trusted-proxies must be networks such as 10.0.0.0/8 or fd00::/8; %q is none", text)
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	return prefixes, nil
}
