package httpapi

import "net/http"

// healthz says that the process runs. It does not depend on anything else: to restart a
// verifier helps no API server that is away.
func (*handler) healthz(x *exchange) { x.text(http.StatusOK, "ok\n") }

// readyz says whether questions can be answered and what to know of that, and else what is missing.
func (h *handler) readyz(x *exchange) {
	if err := h.ready(); err != nil {
		x.text(http.StatusServiceUnavailable, "not ready: "+err.Error()+"\n")
		x.code = "NOT_READY"
		return
	}
	if note := h.note(); note != "" {
		x.text(http.StatusOK, "ok ("+note+")\n")
		return
	}
	x.text(http.StatusOK, "ok\n")
}
