package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
)

// What a slow or hostile client can hold up is bounded: docs/security.md tells by what.
const (
	readHeaderTimeout = 5 * time.Second // of a TLS handshake, too
	readTimeout       = 10 * time.Second
	writeTimeout      = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10

	// Of a connection by HTTP/2. Questions are short, so windows can be small.
	maxStreams       = 100
	connectionWindow = 256 << 10
	streamWindow     = 64 << 10
)

// Server answers at an address.
type Server struct {
	Handler http.Handler
	// TLS is what is spoken, with a certificate that it gets by itself; nil: plain text.
	TLS *tls.Config
	// ShutdownTimeout is how long what was begun may take to finish at the end.
	ShutdownTimeout time.Duration
	Log             logr.Logger
}

// Serve answers on a listener, over plain text.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, shutdownTimeout time.Duration, log logr.Logger) error {
	return (&Server{Handler: handler, ShutdownTimeout: shutdownTimeout, Log: log}).Serve(ctx, listener)
}

// Serve answers on a listener until the context ends, and then finishes what was begun, for
// as long as the timeout allows.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           s.Handler,
		TLSConfig:         s.TLS,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxStreams,
			MaxReceiveBufferPerConnection: connectionWindow,
			MaxReceiveBufferPerStream:     streamWindow,
			WriteByteTimeout:              writeTimeout,
		},
		// What net/http has to say is about connections, and anybody can make it say it.
		ErrorLog: slog.NewLogLogger(logr.ToSlogHandler(s.Log.V(1)), slog.LevelInfo),
	}
	served := make(chan error, 1)
	go func() {
		if s.TLS == nil {
			served <- server.Serve(listener)
			return
		}
		served <- server.ServeTLS(listener, "", "")
	}()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.ShutdownTimeout)
	defer cancel()
	if err := server.Shutdown(limited); err != nil {
		return errors.Join(fmt.Errorf("some requests were cut off: %w", err), server.Close())
	}
	return nil
}

// HealthOnly lets through the health checks and nothing else. It is for a port of their own,
// where those who check can present no certificate.
func HealthOnly(doors http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/healthz", doors)
	mux.Handle("/readyz", doors)
	return mux
}
