// Package httpapi is the verifier's HTTP doors: a question in JSON (/v1/verify), forward
// authentication for gateways (/v1/auth), and the two health checks. One file per door or concern.
package httpapi

import (
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/internal/presented"
)

// Options are what the doors need besides a Verifier.
type Options struct {
	// Ready says what is missing before questions can be answered; nil: nothing ever is.
	// It is asked for every request.
	Ready func() error
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	Log            logr.Logger
	// Registerer gets the metrics; nil: they are kept from view.
	Registerer prometheus.Registerer
	// Now is the clock; nil: the system's.
	Now func() time.Time
}

type handler struct {
	verifier *verifier.Verifier
	ready    func() error
	proxies  presented.Proxies
	log      logr.Logger
	metrics  *metrics
	now      func() time.Time
}

// NewHandler makes the doors. It fails where its metrics are registered already.
func NewHandler(v *verifier.Verifier, o Options) (http.Handler, error) {
	h := &handler{
		verifier: v, ready: o.Ready, proxies: presented.NewProxies(o.TrustedProxies), log: o.Log, metrics: newMetrics(), now: o.Now,
	}
	if h.ready == nil {
		h.ready = func() error { return nil }
	}
	if h.now == nil {
		h.now = time.Now
	}
	if o.Registerer != nil {
		if err := h.metrics.register(o.Registerer); err != nil {
			return nil, fmt.Errorf("registering the metrics of the HTTP doors: %w", err)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("POST /v1/verify", h.door("verify", h.whenReady(h.verify)))
	mux.Handle("/v1/verify", h.door("verify", methodNotAllowed(http.MethodPost)))
	mux.Handle("/v1/auth", h.door("auth", h.whenReady(h.auth)))
	mux.Handle("/healthz", h.door("healthz", healthz))
	mux.Handle("/readyz", h.door("readyz", h.readyz))
	mux.Handle("/", h.door("none", notFound))
	return identified(mux), nil
}
