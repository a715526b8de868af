package extauthz

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// healthServer tells whether requests can be answered: of the server as a whole, and of the
// service by its name.
type healthServer struct {
	*health.Server
	ready  func() error
	ending context.Context
	end    context.CancelFunc
}

func newHealth(ready func() error) *healthServer {
	h := &healthServer{Server: health.NewServer(), ready: ready}
	h.ending, h.end = context.WithCancel(context.Background())
	context.AfterFunc(h.ending, h.Shutdown)
	h.update()
	return h
}

func (h *healthServer) update() {
	status := grpc_health_v1.HealthCheckResponse_SERVING
	if h.ready() != nil {
		status = grpc_health_v1.HealthCheckResponse_NOT_SERVING
	}
	h.SetServingStatus("", status)
	h.SetServingStatus(Service, status)
}

// Check implements grpc_health_v1.HealthServer.
func (h *healthServer) Check(ctx context.Context, r *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	h.update()
	return h.Server.Check(ctx, r)
}

// List implements grpc_health_v1.HealthServer.
func (h *healthServer) List(ctx context.Context, r *grpc_health_v1.HealthListRequest) (*grpc_health_v1.HealthListResponse, error) {
	h.update()
	return h.Server.List(ctx, r)
}

// follow keeps those who watch informed, until ctx ends.
func (h *healthServer) follow(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			h.update()
		}
	}
}

// untilEnd ends streams when the server ends. Whoever watches its health would else hold it
// up: a stream of this kind has no end of its own.
func (h *healthServer) untilEnd(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	defer context.AfterFunc(h.ending, cancel)()
	return handler(srv, &endingStream{stream, ctx})
}

type endingStream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements grpc.ServerStream.
func (s *endingStream) Context() context.Context { return s.ctx }
