package httpapi

import "net/http"

// healthz says that the process runs. It does not depend on anything else: to restart a
// verifier helps no API server that is away.
func healthz(*http.Request) answer {
	return answer{status: http.StatusOK, body: "ok\n"}
}

// readyz says whether questions can be answered, and else what is missing.
func (h *handler) readyz(*http.Request) answer {
	if err := h.ready(); err != nil {
		return answer{status: http.StatusServiceUnavailable, code: "NOT_READY", body: "not ready: " + err.Error() + "\n"}
	}
	return answer{status: http.StatusOK, body: "ok\n"}
}
