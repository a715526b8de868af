package extauthz

import (
	"context"
	"net/http"
	"runtime"
	"runtime/debug"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/claviger-dev/claviger/internal/policy"
)

// check answers one request with what all of them share: the clock, metrics, the log, and an
// answer even after a panic. Neither headers nor keys are ever logged.
//
// Whatever was decided, the call itself succeeds, and the answer says what the client is to be told.
// A call that fails Envoy may be configured to take for leave (failure_mode_allow).
func (s *Server) check(ctx context.Context, receive func(any) error) (any, error) {
	start := s.now()
	x := exchanges.Get().(*exchange)
	if err := s.receive(ctx, x, receive); err != nil {
		x.release()
		s.metrics.malformed.Inc()
		return nil, err
	}
	var span trace.Span
	if s.tracer != nil {
		ctx, span = s.begin(ctx)
	}
	defer s.inFlight.Add(-1)
	full := s.inFlight.Add(1) > s.maxInFlight
	message := messages.Pool.Get().(*[]byte)
	x.out.Bytes = (*message)[:0]
	if full {
		s.metrics.shed.Inc()
		x.fail(http.StatusServiceUnavailable, "OVERLOADED", "The verifier has too much to do. Please try again.")
	} else {
		s.safely(ctx, x)
	}
	*message = x.out.Bytes
	if span != nil {
		x.traced(span, s.foreign.LogID(x.requestID()))
	}
	took := s.now().Sub(start)
	s.metrics.answered(x.status, took)
	if log := s.log.V(1); log.Enabled() {
		log.Info("answered", "door", "extauthz", "status", x.status, "code", x.code, "requestId", s.foreign.LogID(x.requestID()), "took", took)
	}
	x.release()
	return message, nil
}

// receive reads the message. If it is none or does not come, or reading it panics, the call fails.
func (s *Server) receive(ctx context.Context, x *exchange, receive func(any) error) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			s.panicked(reason, "")
			err = status.Error(codes.Internal, "Internal error")
		}
	}()
	err = receive(x)
	if !arrived(ctx) {
		return errNoMessage
	}
	return err
}

// safely answers a panic with 500.
func (s *Server) safely(ctx context.Context, x *exchange) {
	defer func() {
		if reason := recover(); reason != nil {
			id := x.requestID()
			s.panicked(reason, id)
			x.restart()
			x.fail(http.StatusInternalServerError, "INTERNAL", "Internal error")
		}
	}()
	s.answer(ctx, x)
}

// panicked tells of a panic without its value: that may hold what the client sent.
func (s *Server) panicked(reason any, requestID string) {
	s.metrics.panics.Inc()
	err, _ := reason.(runtime.Error)
	s.log.Error(err, "the door for Envoy panicked; please report this as a bug", "requestId", s.foreign.LogID(requestID), "stack", string(debug.Stack()))
}

// answer decides, and writes what Envoy is to do.
func (s *Server) answer(ctx context.Context, x *exchange) {
	if s.ready() != nil {
		x.fail(http.StatusServiceUnavailable, "NOT_READY", "The verifier is not ready yet. Please try again.")
		return
	}
	if err := s.ask(x); err != nil {
		code := policy.CodeRequestInvalid
		x.decision.Code, x.decision.Status = code, code.Status()
		x.refuse(code.Message() + ": " + err.Error())
		return
	}
	x.decision = s.verifier.Verify(ctx, x.question)
	if x.decision.Valid() {
		x.allow(s.queryKey)
		return
	}
	x.refuse(x.decision.Error)
}
