// Package httpapi is the verifier's HTTP doors: questions in JSON (/v1/verify), forward authentication for
// gateways (/v1/auth), what a key is (/v1/scope, /v1/introspect), what became of requests (/v1/usage) and the two
// health checks; and a middleware that does the work of a gateway inside a service. One file per door or concern.
package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/internal/presented"
)

// Options are what the doors need besides a Verifier.
type Options struct {
	// Ready says what is missing before questions can be answered; nil: the verifier says so.
	// It is asked for every request.
	Ready func() error
	// Note is what to know of a verifier that is ready, for /readyz; nil or empty: nothing.
	Note func() string
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// QueryKey is the parameter of the client's URL that may hold a key; empty: none may,
	// because URLs end up in logs and histories.
	QueryKey string
	// MaxInFlight is how many requests may be read and decided at once, roughly; zero or less:
	// 512 for each processor. More are answered 503.
	MaxInFlight int
	Log         logr.Logger
	// Registerer gets the metrics; nil: they are kept from view.
	Registerer prometheus.Registerer
	// Tracer makes a span of each request; nil: there are none.
	Tracer trace.Tracer
	// Now is the clock; nil: the system's.
	Now func() time.Time
}

type handler struct {
	verifier *verifier.Verifier
	ready    func() error
	note     func() string
	bearer   bearer
	log      logr.Logger
	metrics  *metrics
	gate     *gate
	tracer   trace.Tracer
	now      func() time.Time
	doors    map[string]*door // by their path
	nowhere  *door            // all other paths
}

// NewHandler makes the doors. It fails where its metrics are registered already.
func NewHandler(v *verifier.Verifier, o Options) (http.Handler, error) {
	h := &handler{
		verifier: v, ready: o.Ready, note: o.Note, bearer: bearer{proxies: presented.NewProxies(o.TrustedProxies), foreign: v.Foreign, parameter: o.QueryKey},
		log: o.Log, metrics: newMetrics(), gate: newGate(o.MaxInFlight), tracer: o.Tracer, now: o.Now,
	}
	if h.ready == nil {
		h.ready = v.Ready
	}
	if h.note == nil {
		h.note = func() string { return "" }
	}
	if h.now == nil {
		h.now = time.Now
	}
	if o.Registerer != nil {
		if err := errors.Join(h.metrics.register(o.Registerer), h.gate.register(o.Registerer)); err != nil {
			return nil, fmt.Errorf("registering the metrics of the HTTP doors: %w", err)
		}
	}
	h.openDoors()
	return h, nil
}

func (h *handler) openDoors() {
	post, get := []string{http.MethodPost}, []string{http.MethodGet, http.MethodHead}
	h.doors = map[string]*door{
		"/v1/verify":       {name: "verify", methods: post, open: (*handler).verify},
		"/v1/verify/batch": {name: "verify_batch", methods: post, open: (*handler).verifyBatch},
		"/v1/usage":        {name: "usage", methods: post, open: (*handler).usage},
		"/v1/scope":        {name: "scope", methods: get, open: (*handler).scope},
		"/v1/introspect":   {name: "introspect", methods: post, open: (*handler).introspect},
		"/v1/auth":         {name: "auth", open: (*handler).auth, close: (*exchange).anonymous},
		"/v1/auth/nginx":   {name: "auth_nginx", open: (*handler).auth, close: (*exchange).forNginx},
		"/v1/openapi.json": {name: "openapi", methods: get, open: (*handler).openapi, early: true},
		"/docs":            {name: "docs", methods: get, open: (*handler).docs, early: true},
		"/healthz":         {name: "healthz", open: (*handler).healthz, early: true},
		"/readyz":          {name: "readyz", open: (*handler).readyz, early: true},
	}
	h.nowhere = &door{name: "none", open: nowhere, early: true}
	h.nowhere.durations = h.metrics.of(h.nowhere.name)
	for _, d := range h.doors {
		d.durations = h.metrics.of(d.name)
	}
}
