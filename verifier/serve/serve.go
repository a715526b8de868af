// Package serve runs a verifier as a process: it puts the parts together, listens, and ends
// in an order that loses nothing.
package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/claviger-dev/claviger/internal/connlimit"
	"github.com/claviger-dev/claviger/internal/tracing"
	"github.com/claviger-dev/claviger/internal/usagerecorder"
	"github.com/claviger-dev/claviger/internal/usagestore"
	"github.com/claviger-dev/claviger/internal/usagestore/postgres"
	"github.com/claviger-dev/claviger/internal/usagestore/sqlite"
	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/adminapi"
	"github.com/claviger-dev/claviger/verifier/extauthz"
	"github.com/claviger-dev/claviger/verifier/httpapi"
)

// Options are the flags of `claviger verifier`.
type Options struct {
	// Manifests is a directory that the keys come from, instead of the cluster of Config.
	Manifests string
	Config    *rest.Config
	// Namespace is the operator's, where the hashes are.
	Namespace string
	// SnapshotDir is where to keep what to start from while the API server is away; empty: nowhere.
	SnapshotDir string
	// MaxStaleness is for how long keys are believed when the API server is not heard of; zero: forever.
	MaxStaleness time.Duration
	// Listen is the address of the doors, AdminListen that of the protected port; without a
	// cluster that may be empty, or else must be a loopback address, since nobody is asked who they are.
	Listen, AdminListen string
	// CertDir holds the protected port's certificate, perhaps later.
	CertDir string
	// TLSCertDir holds the doors' certificate, perhaps later; empty: they speak plain text.
	TLSCertDir string
	// ClientCAFile holds the authorities that clients of the doors must be certified by; empty:
	// nobody needs a certificate.
	ClientCAFile string
	// HealthListen is the address of another port, in plain text, for the health checks alone;
	// empty: there is none. They are at the doors as well.
	HealthListen string
	// ExtAuthzListen is the address of the door for Envoy; empty: there is none.
	ExtAuthzListen string
	// MaxConnections and MaxConnectionsPerSource bound the connections to the doors; zero: the
	// defaults.
	MaxConnections, MaxConnectionsPerSource int
	// MaxInFlight bounds the requests that are read and decided at once; zero: 512 for each
	// processor.
	MaxInFlight int
	// InvalidKeysPerMinute bounds how many keys that are not valid one source may send; zero: the
	// verifier's default, less than zero: as many as it likes.
	InvalidKeysPerMinute int
	// SharedLimits is where limits are counted together with other verifiers; without a URL they are not.
	SharedLimits verifier.SharedLimits
	// UsageDB is the file that usage is counted in, and what is used of limits is kept in; without a cluster it may be
	// empty: usage is not counted.
	UsageDB string
	// UsageStore is the PostgreSQL that usage is counted in together with other verifiers, instead of UsageDB; without a
	// URL there is none.
	UsageStore postgres.Options
	// UsageJournal is a directory of this verifier's own for what was counted and is not stored yet; empty:
	// beside UsageDB.
	UsageJournal string
	// TrustedProxies may say whose request they pass on.
	TrustedProxies []netip.Prefix
	// QueryKey is the parameter of the client's URL that may hold a key; empty: none may.
	QueryKey string
	// MetricsPerKey counts the requests of each key, in series of its own.
	MetricsPerKey bool
	// Tracing is where traces are sent; without an Endpoint they are not.
	Tracing tracing.Options
	// ShutdownTimeout is what requests get to end in.
	ShutdownTimeout time.Duration
	Log             logr.Logger
}

// How many connections there may be, unless the Options say so: each takes about 20 KiB.
const (
	DefaultMaxConnections          = 8192
	DefaultMaxConnectionsPerSource = 1024
)

// Storing what was counted last takes milliseconds, unless the disk is in trouble.
const flushTimeout = 10 * time.Second

// Run verifies until ctx ends, or something that it cannot do without fails.
func Run(ctx context.Context, o Options) error {
	p, err := build(ctx, o)
	if err != nil {
		return err
	}
	return p.run(ctx)
}

// process is a verifier that is ready to run.
type process struct {
	log             logr.Logger
	shutdownTimeout time.Duration

	disk     *sqlite.Store           // nil: there is none
	usage    usagestore.Store        // nil: usage is not counted
	recorder *usagerecorder.Recorder // nil where usage is
	verifier *verifier.Verifier
	doors    http.Handler
	admin    *adminapi.Server // nil: there is no protected port

	tracing *tracing.Tracing // nil: there is none

	transport *transport
	limiter   *connlimit.Limiter

	doorsListener, adminListener net.Listener
	healthListener               net.Listener // nil: there is none

	extauthz         *extauthz.Server // nil: there is none
	extauthzListener net.Listener
}

// run serves until ctx ends. Then requests that are under way are answered, all that was
// counted is stored, and only after that the rest ends.
func (p *process) run(ctx context.Context) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	open, closeDoors := context.WithCancelCause(ctx)
	defer closeDoors(nil)

	var running sync.WaitGroup
	start := func(what string, run func() error) {
		running.Go(func() {
			if err := run(); err != nil {
				closeDoors(fmt.Errorf("%s: %w", what, err))
			}
		})
	}
	start("watching for changes of keys", func() error { return p.verifier.Run(background) })
	listening := []any{"doors", p.doorsListener.Addr().String()}
	if p.admin != nil {
		start("serving the protected port", func() error { return p.admin.Serve(background, p.adminListener) })
		listening = append(listening, "protected", p.adminListener.Addr().String())
	}
	if p.extauthz != nil {
		listening = append(listening, "extauthz", p.extauthzListener.Addr().String())
	}
	if p.usage != nil {
		running.Go(func() { p.tidy(background) })
	}
	if p.healthListener != nil {
		start("answering health checks", func() error { return p.serveHealth(background) })
	}
	p.transport.start(background)
	p.log.Info("Listening", listening...)
	context.AfterFunc(open, func() { p.log.Info("Ending: answering what was asked, then storing what was counted") })
	err := p.serveDoors(ctx, open, closeDoors)
	if p.tracing != nil && p.tracing.Close() != nil {
		p.log.Info("The last traces could not be sent")
	}

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	err = errors.Join(err, p.closeRecorder(ctx))
	stop()
	running.Wait()
	err = errors.Join(err, p.closeStore())
	if err == nil && p.usage != nil {
		p.log.Info("Ended; no usage is lost")
	}
	return err
}

// tidy keeps the store of usage in order until ctx ends.
func (p *process) tidy(ctx context.Context) {
	var tidying sync.WaitGroup
	tidying.Go(func() {
		usagestore.RunExpiry(ctx, p.usage, clock.RealClock{}, p.verifier.KeepsLines, func(err error) { p.log.Error(err, "Old usage cannot be deleted") })
	})
	tidying.Go(func() {
		usagestore.RunLapse(ctx, p.usage, clock.RealClock{}, p.verifier.Holds, func(err error) {
			p.log.Error(err, "Whom limits refuse cannot be kept up to date; it is tried again until it can")
		})
	})
	tidying.Wait()
}

func (p *process) closeRecorder(ctx context.Context) error {
	if p.recorder == nil {
		return nil
	}
	return p.recorder.Close(ctx)
}

func (p *process) closeStore() error {
	var errs []error
	if p.usage != nil {
		errs = append(errs, p.usage.Close())
	}
	if p.disk != nil && p.usage != usagestore.Store(p.disk) {
		errs = append(errs, p.disk.Close())
	}
	return errors.Join(errs...)
}

// serveDoors serves while open, and returns an error unless it was ctx that ended. One door that
// fails closes the others.
func (p *process) serveDoors(ctx, open context.Context, closeDoors context.CancelCauseFunc) error {
	server := httpapi.Server{
		Handler: p.doors, TLS: p.transport.config, ShutdownTimeout: p.shutdownTimeout, Log: p.log.WithName("doors"),
	}
	doors := []func() error{func() error { return server.Serve(open, p.doorsListener) }}
	if p.extauthz != nil {
		doors = append(doors, func() error { return p.extauthz.Serve(open, p.extauthzListener, p.shutdownTimeout) })
	}
	closed := make(chan error, len(doors))
	for _, door := range doors {
		go func() {
			err := door()
			closeDoors(err)
			closed <- err
		}()
	}
	var err error
	for range doors {
		err = errors.Join(err, <-closed)
	}
	switch {
	case ctx.Err() == nil && open.Err() != nil:
		return context.Cause(open)
	case errors.Is(err, context.DeadlineExceeded):
		p.log.Info("Some requests did not end in time and were cut off", "timeout", p.shutdownTimeout.String())
		return nil
	}
	return err
}
