// Package analytics answers questions about usage over HTTP: what a key used, to whom the key belongs or who may
// read it, and what a workspace used. docs/analytics.md describes the routes.
package analytics

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/claviger-dev/claviger/internal/usagestore"
	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/internal/presented"
)

// The paths begin with these.
const (
	KeysPath      = "/v1/api-keys/"
	WorkspacePath = "/v1/analytics/"
)

// Kubernetes says who somebody is and what they may read: kubeauth's does.
type Kubernetes interface {
	Authenticate(*http.Request) (user.Info, error)
	MayGet(ctx context.Context, who user.Info, resource, namespace, name string) (bool, error)
}

// Options are what a handler needs.
type Options struct {
	Verifier *verifier.Verifier
	// Ready says what is missing before keys can be judged.
	Ready func() error
	Usage usagestore.Reader
	// Kubernetes is asked about bearers of its tokens; nil: only keys may ask.
	Kubernetes Kubernetes
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	Now            func() time.Time
	Log            logr.Logger
	Registerer     prometheus.Registerer
}

const (
	// So many questions are answered at once: each may keep a processor busy, which decisions need. Exports, which
	// take their time, have places of their own.
	atOnce        = 4
	exportsAtOnce = 2
	// What a question gets, and what an export does.
	patience       = 10 * time.Second
	exportPatience = 10 * time.Minute
	// No question needs more.
	maxQuery = 8 << 10
)

type handler struct {
	Options
	proxies presented.Proxies
	places  chan struct{}
	exports chan struct{}
	seconds *prometheus.HistogramVec
}

// New makes the handler of all paths that begin with KeysPath or WorkspacePath.
func New(o Options) (http.Handler, error) {
	h := &handler{Options: o, proxies: presented.NewProxies(o.TrustedProxies), places: make(chan struct{}, atOnce), exports: make(chan struct{}, exportsAtOnce)}
	h.seconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "claviger_analytics_duration_seconds",
		Help:    "How long questions about usage took, by route and by the status of the answer.",
		Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
	}, []string{"route", "status"})
	if err := o.Registerer.Register(h.seconds); err != nil {
		return nil, fmt.Errorf("registering the metrics of analytics: %w", err)
	}
	return h, nil
}

// ServeHTTP answers one question.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := h.Now()
	a := &answer{ResponseWriter: w, requestID: presented.RequestID(r.Header.Get("X-Request-Id"))}
	w.Header().Set("X-Request-Id", a.requestID)
	w.Header().Set("Cache-Control", "no-store")
	route := "none"
	if err := h.safely(a, r, &route); err != nil {
		h.fail(a, r, err)
	}
	took := h.Now().Sub(begin)
	h.seconds.WithLabelValues(route, fmt.Sprint(a.status)).Observe(took.Seconds())
	h.Log.V(1).Info("answered", "door", "analytics", "route", route, "status", a.status, "requestId", a.requestID, "took", took)
}

// safely answers a panic with 500, and tells of it without its value, which may hold what was sent.
func (h *handler) safely(a *answer, r *http.Request, route *string) (err error) {
	defer func() {
		if recover() == nil {
			return
		}
		h.Log.Error(nil, "analytics panicked; please report this as a bug", "requestId", a.requestID, "stack", string(debug.Stack()))
		err = &problem{status: http.StatusInternalServerError, code: "INTERNAL", text: "Internal error"}
	}()
	found, id, err := find(r.URL.Path)
	if err != nil {
		return err
	}
	*route = found.name
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		a.Header().Set("Allow", "GET, HEAD")
		return &problem{status: http.StatusMethodNotAllowed, code: "METHOD_NOT_ALLOWED", text: "Use GET here."}
	}
	if h.Ready() != nil {
		return &problem{status: http.StatusServiceUnavailable, code: "NOT_READY", text: "The verifier is not ready yet. Please try again."}
	}
	places := h.places
	if found.export {
		places = h.exports
	}
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	default:
		return &problem{status: http.StatusServiceUnavailable, code: "OVERLOADED", text: "Too many questions are asked at once. Please try again."}
	}
	return h.answer(a, r, found, id)
}

func (h *handler) answer(a *answer, r *http.Request, found *route, id string) error {
	if len(r.URL.RawQuery) > maxQuery {
		return malformed("the query is longer than %d bytes", maxQuery)
	}
	limit := patience
	if found.export {
		limit = exportPatience
	}
	ctx, cancel := context.WithTimeout(r.Context(), limit)
	defer cancel()
	q := &question{handler: h, Context: ctx, route: found, now: h.Now()}
	// Whoever may not ask is told nothing of how the question would have to be put.
	if err := h.admit(q, r, id); err != nil {
		return err
	}
	if err := q.read(r.URL.RawQuery); err != nil {
		return err
	}
	return found.answer(q, a)
}

// fail answers with an error, unless a part of the answer is sent already.
func (h *handler) fail(a *answer, r *http.Request, err error) {
	var p *problem
	switch {
	case errors.As(err, &p):
	case r.Context().Err() != nil:
		p = &problem{status: 499, code: "GONE", text: "The client has gone."}
	case errors.Is(err, context.DeadlineExceeded):
		p = &problem{status: http.StatusServiceUnavailable, code: "TOO_SLOW", text: "The question takes too long. Ask about a shorter time, or about fewer keys."}
	default:
		h.Log.Error(err, "Usage cannot be read", "requestId", a.requestID)
		p = &problem{status: http.StatusServiceUnavailable, code: "USAGE_UNAVAILABLE", text: "Usage cannot be read now; the verifier's log says why. Please try again."}
	}
	if a.status != 0 {
		panic(http.ErrAbortHandler) // whoever reads must not take what was sent for the whole
	}
	a.problem(p)
}
