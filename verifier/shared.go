package verifier

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/claviger-dev/claviger/internal/limitstore/leased"
	"github.com/claviger-dev/claviger/internal/limitstore/valkey"
)

// SharedLimits let several verifiers count limits together, in Valkey or Redis.
type SharedLimits struct {
	// URL of the server: redis://user@host:6379, or rediss:// for TLS. Several hosts, with commas between them,
	// are those of a cluster.
	URL string
	// PasswordFile holds the server's password; empty: it is in the URL, or there is none.
	PasswordFile string
	// Timeout is what the server gets to answer a request in; zero: 100 ms.
	Timeout time.Duration
	// Outage is what becomes of requests while the server is away: "local", each verifier admits its share
	// of the limits; "open", they do not hold; or "closed", what they hold for is refused. Empty is "local".
	Outage string
}

// shared counts limits together with other verifiers.
type shared struct {
	store  *valkey.Store
	leased *leased.Store
	log    logr.Logger
}

func newShared(o SharedLimits, log logr.Logger, registerer prometheus.Registerer) (*shared, error) {
	outage, err := valkey.ParseOutage(o.Outage)
	if err != nil {
		return nil, err
	}
	if registerer == nil {
		registerer = prometheus.NewRegistry()
	}
	store, err := valkey.New(valkey.Options{
		URL: o.URL, PasswordFile: o.PasswordFile, Timeout: o.Timeout, Outage: outage, Log: log, Registerer: registerer,
	})
	if err != nil {
		return nil, fmt.Errorf("shared limits: %w", err)
	}
	leases, err := leased.New(leased.Options{Drawer: store, Clock: clock.RealClock{}, Log: log, Registerer: registerer})
	if err != nil {
		return nil, fmt.Errorf("shared limits: %w", err)
	}
	return &shared{store: store, leased: leases, log: log}, nil
}

// closeTimeout is what the server gets to take back what was leased.
const closeTimeout = 5 * time.Second

// run keeps the connection and the leases until the context ends. Then leases are given back, before the connection goes.
func (s *shared) run(ctx context.Context) {
	connected, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	defer disconnect()
	var store, leases sync.WaitGroup
	store.Go(func() { s.report("the connection of shared limits", s.store.Run(connected)) })
	leases.Go(func() { s.report("the leases of shared limits", s.leased.Run(ctx)) })
	leases.Wait()
	ctx, cancel := context.WithTimeout(connected, closeTimeout)
	defer cancel()
	s.store.Close(ctx)
	disconnect()
	store.Wait()
}

func (s *shared) report(what string, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		s.log.Error(err, "Something ended that limits need; they are decided as if the server were away", "what", what)
	}
}
