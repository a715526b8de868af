package extauthz

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// healthServer tells whether requests can be answered: of the server as a whole, and of the
// service by its name.
type healthServer struct {
	grpc_health_v1.UnimplementedHealthServer
	ready    func() error
	ending   context.Context
	end      context.CancelFunc
	watchers atomic.Int64
}

// maxWatchers is how many may be kept informed: far more than the gateways that do so. A stream
// of this kind has no end of its own.
const maxWatchers = 64

// lookEvery is how often it is looked whether those who watch must be told something.
const lookEvery = time.Second

func newHealth(ready func() error) *healthServer {
	h := &healthServer{ready: ready}
	h.ending, h.end = context.WithCancel(context.Background())
	return h
}

// of is how a service is.
func (h *healthServer) of(service string) grpc_health_v1.HealthCheckResponse_ServingStatus {
	switch {
	case service != "" && service != Service:
		return grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN
	case h.ending.Err() != nil || h.ready() != nil:
		return grpc_health_v1.HealthCheckResponse_NOT_SERVING
	}
	return grpc_health_v1.HealthCheckResponse_SERVING
}

// Check implements grpc_health_v1.HealthServer.
func (h *healthServer) Check(_ context.Context, r *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	is := h.of(r.GetService())
	if is == grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN {
		return nil, status.Error(codes.NotFound, "unknown service")
	}
	return &grpc_health_v1.HealthCheckResponse{Status: is}, nil
}

// List implements grpc_health_v1.HealthServer.
func (h *healthServer) List(context.Context, *grpc_health_v1.HealthListRequest) (*grpc_health_v1.HealthListResponse, error) {
	is := &grpc_health_v1.HealthCheckResponse{Status: h.of("")}
	return &grpc_health_v1.HealthListResponse{Statuses: map[string]*grpc_health_v1.HealthCheckResponse{"": is, Service: is}}, nil
}

// Watch implements grpc_health_v1.HealthServer. It ends with the server, which it would else hold up,
// but not before it has said so.
func (h *healthServer) Watch(r *grpc_health_v1.HealthCheckRequest, stream grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]) error {
	if !arrived(stream.Context()) {
		return errNoMessage
	}
	defer h.watchers.Add(-1)
	if h.watchers.Add(1) > maxWatchers {
		return status.Error(codes.ResourceExhausted, "too many watch already; use Check")
	}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	told := grpc_health_v1.HealthCheckResponse_UNKNOWN
	for {
		ending := h.ending.Err() != nil // before it is looked: what is told last must be the end
		if is := h.of(r.GetService()); is != told {
			if err := stream.Send(&grpc_health_v1.HealthCheckResponse{Status: is}); err != nil {
				return err
			}
			told = is
		}
		if ending {
			return status.Error(codes.Unavailable, "the verifier ends")
		}
		select {
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		case <-h.ending.Done():
		case <-ticker.C:
		}
	}
}

// unary is for the calls about health whose message grpc reads.
func unary(ctx context.Context, r any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if !arrived(ctx) {
		return nil, errNoMessage
	}
	return handle(ctx, r)
}
