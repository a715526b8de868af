// Package extauthz is the verifier's door for Envoy: external authorization, version 3, over
// gRPC, with the health service of gRPC beside it.
//
// The protocol: https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/auth/v3/external_auth.proto
package extauthz

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/internal/presented"
)

// Service is the name of the service in gRPC.
const Service = "envoy.service.auth.v3.Authorization"

// Options are what the door needs besides a Verifier.
type Options struct {
	// Ready says what is missing before questions can be answered; nil: the verifier says so.
	// It is asked for every request.
	Ready func() error
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// QueryKey is the parameter of the client's URL that may hold a key; empty: none may,
	// as URLs end up in logs.
	QueryKey string
	// MaxInFlight is how many requests are read and decided at once; more are answered 503. Zero:
	// 512 for each processor.
	MaxInFlight int
	// TLS is what is spoken, with a certificate that it gets by itself; nil: plain text.
	TLS *tls.Config
	Log logr.Logger
	// Registerer gets the metrics; nil: they are kept from view.
	Registerer prometheus.Registerer
	// Tracer makes a span of each request; nil: there are none.
	Tracer trace.Tracer
	// Now is the clock; nil: the system's.
	Now func() time.Time
}

// Server is the door.
type Server struct {
	verifier *verifier.Verifier
	ready    func() error
	proxies  presented.Proxies
	foreign  presented.Foreign
	queryKey string
	tls      *tls.Config
	log      logr.Logger
	metrics  *metrics
	tracer   trace.Tracer
	now      func() time.Time

	maxInFlight int64
	inFlight    atomic.Int64
	arrivals    *arrivals

	logStreams atomic.Int64 // of access logs
}

// inFlightPerProcessor is far more than may wait for one without being late.
const inFlightPerProcessor = 512

// New makes the door. It fails where its metrics are registered already.
func New(v *verifier.Verifier, o Options) (*Server, error) {
	s := &Server{
		verifier: v, ready: o.Ready, foreign: v.Foreign, proxies: presented.NewProxies(o.TrustedProxies), queryKey: o.QueryKey,
		tls: o.TLS, log: o.Log, metrics: newMetrics(), tracer: o.Tracer, now: o.Now, maxInFlight: int64(o.MaxInFlight),
	}
	if s.maxInFlight <= 0 {
		s.maxInFlight = int64(inFlightPerProcessor * runtime.GOMAXPROCS(0))
	}
	s.arrivals = newArrivals(s.maxInFlight)
	if s.ready == nil {
		s.ready = v.Ready
	}
	if s.now == nil {
		s.now = time.Now
	}
	if o.Registerer != nil {
		if err := s.metrics.register(o.Registerer); err != nil {
			return nil, fmt.Errorf("registering the metrics of the door for Envoy: %w", err)
		}
	}
	return s, nil
}

// service is what the generated code would make of the protocol, but for the messages: those
// are read and written by the codec.
var service = grpc.ServiceDesc{
	ServiceName: Service,
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Check", Handler: check}},
	Metadata:    "envoy/service/auth/v3/external_auth.proto",
}

func check(s any, ctx context.Context, receive func(any) error, _ grpc.UnaryServerInterceptor) (any, error) { //nolint:revive // the order is that of grpc
	return s.(*Server).check(ctx, receive)
}
