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

	"github.com/claviger-dev/claviger/internal/usagerecorder"
	"github.com/claviger-dev/claviger/internal/usagestore/sqlite"
	"github.com/claviger-dev/claviger/verifier/adminapi"
	"github.com/claviger-dev/claviger/verifier/httpapi"
)

// Options are the flags of `claviger verifier`.
type Options struct {
	Config *rest.Config
	// Namespace is the operator's, where the hashes are.
	Namespace string
	// Listen is the address of the doors, AdminListen that of the protected port.
	Listen, AdminListen string
	// CertDir holds the protected port's certificate, perhaps later.
	CertDir string
	// UsageDB is the file that usage is counted in.
	UsageDB string
	// TrustedProxies may say whose request they pass on.
	TrustedProxies []netip.Prefix
	// ShutdownTimeout is what requests get to end in.
	ShutdownTimeout time.Duration
	Log             logr.Logger
}

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

// source is where the keys come from: it fills the index.
type source interface {
	// Run goes on until ctx ends. Whatever it returns earlier ends the process.
	Run(ctx context.Context) error
	// Ready says what is missing until the index may be believed.
	Ready() error
}

// process is a verifier that is ready to run.
type process struct {
	log             logr.Logger
	shutdownTimeout time.Duration

	store    *sqlite.Store
	recorder *usagerecorder.Recorder
	keys     source
	doors    http.Handler
	admin    *adminapi.Server

	doorsListener, adminListener net.Listener
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
	start("watching for changes of keys", func() error { return p.keys.Run(background) })
	start("serving the protected port", func() error { return p.admin.Serve(background, p.adminListener) })
	running.Go(func() {
		p.store.RunExpiry(background, clock.RealClock{}, func(err error) { p.log.Error(err, "Old usage cannot be deleted") })
	})
	p.log.Info("Listening", "doors", p.doorsListener.Addr().String(), "protected", p.adminListener.Addr().String())
	context.AfterFunc(open, func() { p.log.Info("Ending: answering what was asked, then storing what was counted") })
	err := p.serveDoors(ctx, open)

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	err = errors.Join(err, p.recorder.Close(ctx))
	stop()
	running.Wait()
	err = errors.Join(err, p.store.Close())
	if err == nil {
		p.log.Info("Ended; all usage is stored")
	}
	return err
}

// serveDoors serves while open, and returns an error unless it was ctx that ended.
func (p *process) serveDoors(ctx, open context.Context) error {
	err := httpapi.Serve(open, p.doorsListener, p.doors, p.shutdownTimeout, p.log.WithName("doors"))
	switch {
	case ctx.Err() == nil && open.Err() != nil:
		return context.Cause(open)
	case errors.Is(err, context.DeadlineExceeded):
		p.log.Info("Some requests did not end in time and were cut off", "timeout", p.shutdownTimeout.String())
		return nil
	}
	return err
}
