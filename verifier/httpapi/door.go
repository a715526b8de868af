package httpapi

import (
	"context"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/claviger-dev/claviger/internal/tracing"
)

// door answers one path.
type door struct {
	name string // in metrics and the log
	// methods are those it answers, none: any.
	methods []string
	// open makes up the answer.
	open func(*handler, *exchange)
	// close, if there is one, gives whatever was answered, and were it by a panic, the form
	// that those who ask here need.
	close func(*exchange)
	// early says that it is open before all keys are known. No other may be: a good key would
	// be called invalid.
	early bool

	durations durations
}

// ServeHTTP does what all doors share: the clock, metrics, the log, and an answer even after a
// panic. Neither headers nor bodies are ever logged.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := h.now()
	d, ok := h.doors[r.URL.Path]
	if !ok {
		d = h.nowhere
	}
	var span trace.Span
	if h.tracer != nil && !d.early {
		var ctx context.Context
		ctx, span = tracing.Begin(r.Context(), h.tracer, d.name, propagation.HeaderCarrier(r.Header))
		r = r.WithContext(ctx)
	}
	x := newExchange(w, r)
	h.safely(d, x)
	if d.close != nil {
		d.close(x)
	}
	x.write()
	if span != nil {
		x.traced(span, h.bearer.foreign.LogID(x.requestID))
	}
	took := h.now().Sub(start)
	d.durations.answered(x.status, took)
	if log := h.log.V(1); log.Enabled() {
		log.Info("answered", "door", d.name, "status", x.status, "code", x.code, "requestId", h.bearer.foreign.LogID(x.requestID), "took", took)
	}
	x.release()
}

// traced ends a span. Whose key it was is told where the asker was told.
func (x *exchange) traced(span trace.Span, requestID string) {
	key := &x.decision.Key
	id := ""
	if !key.ID.IsZero() {
		id = key.ID.String()
	}
	tracing.Answered(span, x.status, x.code, requestID, id, key.Workspace)
}

// safely answers a panic with 500, and tells of it without its value: that may hold what the
// client sent.
func (h *handler) safely(d *door, x *exchange) {
	defer func() {
		reason := recover()
		if reason == nil {
			return
		}
		h.metrics.panics.Inc()
		err, _ := reason.(runtime.Error)
		h.log.Error(err, "a door panicked; please report this as a bug", "requestId", h.bearer.foreign.LogID(x.requestID), "stack", string(debug.Stack()))
		x.header.reset()
		x.identified = false
		x.problem(http.StatusInternalServerError, "INTERNAL", "Internal error")
	}()
	switch {
	case len(d.methods) > 0 && !slices.Contains(d.methods, x.Method):
		x.methodNotAllowed(d.methods)
	case !d.early && h.ready() != nil:
		x.notReady()
	default:
		h.admit(d, x)
	}
}

func (x *exchange) notReady() {
	x.header.add("Retry-After", "1")
	x.problem(http.StatusServiceUnavailable, "NOT_READY", "The verifier is not ready yet. Please try again.")
}

func (x *exchange) methodNotAllowed(methods []string) {
	x.header.add("Allow", strings.Join(methods, ", "))
	x.problem(http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", "Use "+strings.Join(methods, " or ")+" here.")
}

func nowhere(_ *handler, x *exchange) {
	x.problem(http.StatusNotFound, "NOT_FOUND",
		"There is nothing here. Ask POST /v1/verify, /v1/verify/batch, /v1/introspect or /v1/usage, GET /v1/scope, /v1/auth or /v1/auth/nginx.")
}
