package extauthz

import (
	"context"

	"go.opentelemetry.io/otel/trace"
	md "google.golang.org/grpc/metadata"

	"github.com/claviger-dev/claviger/internal/tracing"
)

// begin begins a span in the trace that Envoy says the call belongs to, in the call's metadata.
func (s *Server) begin(ctx context.Context) (context.Context, trace.Span) {
	told, _ := md.FromIncomingContext(ctx)
	return tracing.Begin(ctx, s.tracer, "extauthz", carrier(told))
}

// traced ends a span. Whose key it was is told where Envoy was told.
func (x *exchange) traced(span trace.Span, requestID string) {
	key := &x.decision.Key
	id := ""
	if !key.ID.IsZero() {
		id = key.ID.String()
	}
	tracing.Answered(span, x.status, x.code, requestID, id, key.Workspace)
}

// carrier implements propagation.TextMapCarrier, for reading.
type carrier md.MD

func (c carrier) Get(key string) string {
	if values := md.MD(c).Get(key); len(values) > 0 {
		return values[0]
	}
	return ""
}

// Set does nothing: nobody is told what is not said.
func (carrier) Set(string, string) {}

func (c carrier) Keys() (keys []string) {
	for key := range c {
		keys = append(keys, key)
	}
	return keys
}
