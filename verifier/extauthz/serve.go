package extauthz

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"time"

	logv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
)

// What a slow or hostile client can hold up is bounded.
const (
	// MaxMessage is the longest message that is read, in bytes: four times all the headers that
	// Envoy lets through unless it is told otherwise.
	MaxMessage = 256 << 10

	// Envoy keeps a connection for each of its threads and has many requests under way on it, but
	// opens another one when these are taken. One connection alone must not take all the places.
	maxStreams = 256
	// With more than these at once requests get a goroutine of their own each.
	workersPerProcessor = 32

	maxHeaderBytes    = 16 << 10
	connectionTimeout = 5 * time.Second
	connectionWindow  = 1 << 20
	streamWindow      = 256 << 10
	// A connection without requests keeps this much and no more.
	readBuffer  = 16 << 10
	idleTimeout = 15 * time.Minute
	// A connection ends after a time, so that verifiers that were added get their share.
	maxAge      = 30 * time.Minute
	maxAgeGrace = 30 * time.Second
	// Of a peer that says nothing it is asked whether it is still there.
	askAfter  = time.Minute
	answerIn  = 20 * time.Second
	leastPing = 10 * time.Second // between two such questions from a peer
)

// Serve answers on a listener until the context ends, and then finishes what was begun, for
// as long as the timeout allows.
func (s *Server) Serve(ctx context.Context, listener net.Listener, shutdownTimeout time.Duration) error {
	health := newHealth(s.ready)
	server := grpc.NewServer(s.options()...)
	server.RegisterService(&service, s)
	logv3.RegisterAccessLogServiceServer(server, accessLogs{Server: s, ending: ctx.Done()})
	grpc_health_v1.RegisterHealthServer(server, health)
	sweeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	go s.arrivals.follow(sweeping)

	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	health.end() // which says so, before connections close
	finished := make(chan struct{})
	go func() {
		server.GracefulStop()
		close(finished)
	}()
	timeout := time.NewTimer(shutdownTimeout)
	defer timeout.Stop()
	select {
	case <-finished:
		return nil
	case <-timeout.C:
		server.Stop()
		return fmt.Errorf("some requests were cut off: %w", context.DeadlineExceeded)
	}
}

func (s *Server) options() []grpc.ServerOption {
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec()),
		grpc.InTapHandle(s.arrivals.begin),
		grpc.UnaryInterceptor(unary),
		grpc.ReadBufferSize(readBuffer),
		// Their stacks have grown already: to grow one for each request costs a tenth of it.
		grpc.NumStreamWorkers(workersPerProcessor * uint32(runtime.GOMAXPROCS(0))),
		grpc.MaxRecvMsgSize(MaxMessage),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(connectionTimeout),
		// Windows that never grow: messages are short.
		grpc.StaticConnWindowSize(connectionWindow),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: idleTimeout, MaxConnectionAge: maxAge, MaxConnectionAgeGrace: maxAgeGrace, Time: askAfter, Timeout: answerIn,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: leastPing, PermitWithoutStream: true}),
	}
	if s.tls != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(s.tls)))
	}
	return options
}
