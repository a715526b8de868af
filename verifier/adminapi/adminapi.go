// Package adminapi is the verifier's second port: metrics, the usage feeds and how far it has come, for the
// operator, and profiles, over HTTPS and only for those whom Kubernetes knows and allows to get the
// path that they ask for.
//
// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create
package adminapi

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/claviger-dev/claviger/internal/applied"
	"github.com/claviger-dev/claviger/internal/servingcert"
	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

// Server answers on the protected port.
type Server struct {
	// CertDir holds tls.crt and tls.key. They may appear later and are read again when they
	// change.
	CertDir string
	// Protect lets a request through to a handler only if whoever sent it may do that. Where it
	// is nil there are metrics alone, over plain HTTP and for everybody, and the listener must be one that
	// nobody else reaches.
	Protect func(http.Handler) http.Handler
	// Usage is where the feeds come from, and Period tells it which period of a workspace they are about.
	Usage  usagestore.Feed
	Period usagestore.PeriodOf
	// CountedUntil is a moment before which all that was decided is in Usage; nil: that is not known.
	CountedUntil func() time.Time
	// Applied tells how far the verifier has come, which is asked for several times a second.
	Applied func() applied.Report
	Metrics prometheus.Gatherer
	Now     func() time.Time
	Log     logr.Logger
}

const shutdownTimeout = 5 * time.Second

// Serve answers until ctx ends. The listener is closed then.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		// Of a body that nobody reads, too. Profiles are long in being written, not in being asked for.
		ReadTimeout: 10 * time.Second,
		IdleTimeout: 2 * time.Minute,
		// Failed handshakes are what scanners and early clients cause: nothing to act on.
		ErrorLog: slog.NewLogLogger(logr.ToSlogHandler(s.Log.V(1)), slog.LevelInfo),
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		timeout, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if server.Shutdown(timeout) != nil {
			server.Close() //nolint:errcheck // whoever still profiles is cut off
		}
	}()
	if err := s.listen(ctx, server, listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-stopped
	return nil
}

func (s *Server) listen(ctx context.Context, server *http.Server, listener net.Listener) error {
	if s.Protect == nil {
		return server.Serve(listener)
	}
	certificate := servingcert.New(s.CertDir, s.Log)
	go certificate.Start(ctx) //nolint:errcheck // it ends with ctx, and never with an error
	server.TLSConfig = &tls.Config{}
	certificate.Configure(server.TLSConfig)
	return server.ServeTLS(listener, "", "")
}

// Handler is all that the port answers, behind Protect.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{}))
	if s.Protect == nil {
		return mux
	}
	mux.HandleFunc("GET "+usagefeed.Path, feed(s, s.changes))
	mux.HandleFunc("GET "+usagefeed.GroupsPath, feed(s, inPeriods(s, s.Usage.Groups)))
	mux.HandleFunc("GET "+usagefeed.LimitsPath, feed(s, s.Usage.Limits))
	mux.HandleFunc("GET "+applied.Path, func(w http.ResponseWriter, _ *http.Request) { respond(w, http.StatusOK, s.Applied()) })
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return s.Protect(mux)
}
