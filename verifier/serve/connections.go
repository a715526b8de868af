package serve

import (
	"cmp"
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/claviger-dev/claviger/internal/connlimit"
	"github.com/claviger-dev/claviger/verifier/httpapi"
)

func newLimiter(o Options, registry prometheus.Registerer) (*connlimit.Limiter, error) {
	limits := connlimit.Options{
		Max:       cmp.Or(o.MaxConnections, DefaultMaxConnections),
		PerSource: cmp.Or(o.MaxConnectionsPerSource, DefaultMaxConnectionsPerSource),
	}
	if limits.Max < 0 || limits.PerSource < 0 {
		return nil, errors.New("--max-connections and --max-connections-per-source must be positive")
	}
	return connlimit.New(limits, registry)
}

// healthConnections are few, so that they need no share of the doors' and cannot do harm.
var healthConnections = connlimit.Options{Max: 64, PerSource: 16}

func (p *process) buildHealth(o Options) error {
	if o.HealthListen == "" {
		return nil
	}
	limiter, err := connlimit.New(healthConnections, nil)
	if err != nil {
		return err
	}
	listener, err := listen("--health-listen", o.HealthListen)
	if err != nil {
		return err
	}
	p.healthListener = limiter.Limit(listener)
	return nil
}

// serveHealth answers health checks until ctx ends: while the doors close, too.
func (p *process) serveHealth(ctx context.Context) error {
	server := httpapi.Server{Handler: httpapi.HealthOnly(p.doors), Log: p.log.WithName("health")}
	if err := server.Serve(ctx, p.healthListener); ctx.Err() == nil {
		return err
	}
	return nil
}
