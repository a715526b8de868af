package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/trace"

	"github.com/claviger-dev/claviger/internal/applied"
	"github.com/claviger-dev/claviger/internal/tracing"
	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/adminapi"
	"github.com/claviger-dev/claviger/verifier/extauthz"
	"github.com/claviger-dev/claviger/verifier/httpapi"
)

// build makes the parts, from the store outwards. It asks nothing of the API server, which may
// be away.
func build(ctx context.Context, o Options) (*process, error) {
	p := &process{log: o.Log, shutdownTimeout: o.ShutdownTimeout}
	err := p.build(ctx, o)
	if err == nil {
		return p, nil
	}
	return nil, errors.Join(err, p.closeRecorder(ctx), p.closeStore())
}

func (p *process) build(ctx context.Context, o Options) (err error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	recorder, err := p.buildUsage(ctx, o, registry)
	if err != nil {
		return err
	}
	decider, err := verifier.New(verifier.Options{
		Source: sourceOf(o), Recorder: recorder, Counts: p.counts(), Registerer: registry, Log: o.Log,
		InvalidKeysPerMinute: o.InvalidKeysPerMinute, MetricsPerKey: o.MetricsPerKey, SharedLimits: sharedLimits(o),
	})
	if err != nil {
		return err
	}
	p.verifier = decider
	if o.Tracing.Endpoint != "" {
		o.Tracing.Service, o.Tracing.Log = "claviger-verifier", o.Log.WithName("tracing")
		if p.tracing, err = tracing.New(ctx, o.Tracing); err != nil {
			return err
		}
	}
	if err := p.buildDoors(o, decider, registry); err != nil {
		return err
	}
	return p.buildAdmin(o, registry)
}

func sharedLimits(o Options) *verifier.SharedLimits {
	if o.SharedLimits.URL == "" {
		return nil
	}
	return &o.SharedLimits
}

func sourceOf(o Options) verifier.Source {
	if o.Manifests != "" {
		return verifier.Directory(o.Manifests)
	}
	return verifier.Cluster{
		Config: o.Config, Namespace: o.Namespace, SnapshotDir: o.SnapshotDir, MaxStaleness: o.MaxStaleness,
	}
}

func (p *process) buildDoors(o Options, decider *verifier.Verifier, registry prometheus.Registerer) (err error) {
	if p.transport, err = newTransport(o.TLSCertDir, o.ClientCAFile, o.Log.WithName("tls")); err != nil {
		return err
	}
	p.doors, err = httpapi.NewHandler(decider, httpapi.Options{
		Ready:          p.ready,
		Note:           decider.Note,
		TrustedProxies: o.TrustedProxies,
		QueryKey:       o.QueryKey,
		MaxInFlight:    o.MaxInFlight,
		Log:            o.Log.WithName("doors"),
		Registerer:     registry,
		Tracer:         p.tracer(),
	})
	if err != nil {
		return err
	}
	if err := p.buildAnalytics(o, registry); err != nil {
		return err
	}
	if p.limiter, err = newLimiter(o, registry); err != nil {
		return err
	}
	listener, err := listen("--listen", o.Listen)
	if err != nil {
		return err
	}
	p.doorsListener = p.limiter.Limit(listener)
	if err := p.buildExtAuthz(o, decider, registry); err != nil {
		return err
	}
	return p.buildHealth(o)
}

// tracer makes spans; nil: nobody wants them.
func (p *process) tracer() trace.Tracer {
	if p.tracing == nil {
		return nil
	}
	return p.tracing
}

// ready says what is missing before questions can be asked and answered.
func (p *process) ready() error {
	if err := p.transport.ready(); err != nil {
		return err
	}
	return p.verifier.Ready()
}

// buildExtAuthz makes the door for Envoy. Its connections count with those of the other doors.
func (p *process) buildExtAuthz(o Options, decider *verifier.Verifier, registry prometheus.Registerer) (err error) {
	if o.ExtAuthzListen == "" {
		return nil
	}
	p.extauthz, err = extauthz.New(decider, extauthz.Options{
		Ready:          p.ready,
		TrustedProxies: o.TrustedProxies,
		QueryKey:       o.QueryKey,
		MaxInFlight:    o.MaxInFlight,
		TLS:            p.transport.config,
		Log:            o.Log.WithName("doors"),
		Registerer:     registry,
		Tracer:         p.tracer(),
	})
	if err != nil {
		return err
	}
	listener, err := listen("--extauthz-listen", o.ExtAuthzListen)
	if err != nil {
		return err
	}
	p.extauthzListener = p.limiter.Limit(listener)
	return nil
}

func (p *process) buildAdmin(o Options, metrics prometheus.Gatherer) error {
	log := o.Log.WithName("protected")
	if o.Manifests != "" {
		return p.buildLocalAdmin(o, metrics, log)
	}
	protect, err := adminapi.ProtectWithKubernetes(o.Config, log)
	if err != nil {
		return err
	}
	p.admin = &adminapi.Server{
		CertDir: o.CertDir, Protect: protect, Usage: p.usage, Period: p.period, CountedUntil: p.recorder.CountedUntil, Applied: p.applied, Metrics: metrics, Now: time.Now, Log: log,
	}
	p.adminListener, err = listen("--admin-listen", o.AdminListen)
	return err
}

// period is the billing period of a workspace that now lies in.
func (p *process) period(workspace string) (start, end time.Time) {
	return p.verifier.Period(workspace, time.Now())
}

// applied tells how far the verifier has come. Its name is that by which a process that goes on with its journal
// knows it.
func (p *process) applied() applied.Report {
	return applied.Report{
		Verifier: p.recorder.Name(), Versions: p.verifier.Applied(),
		CountedUntil: p.recorder.CountedUntil(), Continues: p.recorder.Continues(),
	}
}

// buildLocalAdmin makes a port for metrics where there is no Kubernetes to say who may read them:
// whoever is on this machine may.
func (p *process) buildLocalAdmin(o Options, metrics prometheus.Gatherer, log logr.Logger) (err error) {
	if o.AdminListen == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(o.AdminListen)
	if address, parseErr := netip.ParseAddr(host); err != nil || parseErr != nil || !address.IsLoopback() {
		return fmt.Errorf("--admin-listen %s: with --manifests nobody is asked who they are, so it must be a loopback address, such as 127.0.0.1:8443", o.AdminListen)
	}
	p.admin = &adminapi.Server{Metrics: metrics, Now: time.Now, Log: log}
	p.adminListener, err = listen("--admin-listen", o.AdminListen)
	return err
}

func listen(flag, address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: choose another address with %s: %w", address, flag, err)
	}
	return listener, nil
}
