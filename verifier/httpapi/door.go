package httpapi

import (
	"encoding/json"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
)

// maxBody is the longest body that is read, in bytes: many times what the longest sensible
// question needs.
const maxBody = 64 << 10

// answer is what a door says. Doors return it rather than write it, so that nothing is half
// written when one panics.
type answer struct {
	status int
	code   string // for the log
	header http.Header
	body   any // encoded as JSON, unless it is a string
}

// door wraps a door with what all of them share: a bound on the body, the clock, metrics, the
// log, and an answer even after a panic. Neither headers nor bodies are ever logged.
func (h *handler) door(name string, open func(*http.Request) answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := h.now()
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		a := h.safely(open, r)
		a.write(w)
		took := h.now().Sub(start)
		h.metrics.answered(name, a.status, took)
		h.log.V(1).Info("answered", "door", name, "status", a.status, "code", a.code, "requestId", requestID(r), "took", took)
	})
}

// safely answers a panic with 500, and tells of it without its value: that may hold what the
// client sent.
func (h *handler) safely(open func(*http.Request) answer, r *http.Request) (a answer) {
	defer func() {
		reason := recover()
		if reason == nil {
			return
		}
		h.metrics.panics.Inc()
		err, _ := reason.(runtime.Error)
		h.log.Error(err, "a door panicked; please report this as a bug", "requestId", requestID(r), "stack", string(debug.Stack()))
		a = problem(r, http.StatusInternalServerError, "INTERNAL", "Internal error")
	}()
	return open(r)
}

func (a *answer) write(w http.ResponseWriter) {
	header := w.Header()
	for name, values := range a.header {
		header[name] = values
	}
	if text, ok := a.body.(string); ok {
		header.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(a.status)
		io.WriteString(w, text) //nolint:errcheck // the client has gone
		return
	}
	header.Set("Content-Type", "application/json")
	body, err := json.Marshal(a.body)
	if err != nil {
		// Nothing that a door answers with can fail to encode.
		a.status, body = http.StatusInternalServerError, nil
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(a.status)
	w.Write(body) //nolint:errcheck // the client has gone
}

// whenReady keeps a door shut until all keys are known: until then a good key would be
// called invalid.
func (h *handler) whenReady(open func(*http.Request) answer) func(*http.Request) answer {
	return func(r *http.Request) answer {
		if h.ready() != nil {
			a := problem(r, http.StatusServiceUnavailable, "NOT_READY", "The verifier is not ready yet. Please try again.")
			a.header = http.Header{"Retry-After": {"1"}}
			return a
		}
		return open(r)
	}
}
