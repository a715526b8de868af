package extauthz

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	duration  *prometheus.HistogramVec
	malformed prometheus.Counter
	shed      prometheus.Counter
	panics    prometheus.Counter
	// logEntries are of access logs.
	logEntries *prometheus.CounterVec
	byStatus   map[int]prometheus.Observer // looked up once, not for each request
}

// statuses are all that the door answers.
var statuses = []int{
	http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden,
	http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable,
}

func newMetrics() *metrics {
	m := &metrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "claviger_extauthz_request_duration_seconds",
			Help: "How long the door for Envoy took to answer, by the HTTP status that the client is to be told.",
			// A decision takes microseconds; what takes a millisecond is waiting for a CPU.
			Buckets: []float64{.00001, .000025, .00005, .0001, .00025, .0005, .001, .0025, .01, .05, .25, 1},
		}, []string{"status"}),
		malformed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "claviger_extauthz_malformed_total",
			Help: "Calls of the door for Envoy whose message could not be read.",
		}),
		shed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "claviger_extauthz_requests_shed_total",
			Help: "Requests that were answered 503 OVERLOADED because too many were in flight.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "claviger_extauthz_panics_total",
			Help: "Requests that were answered 500 because the door for Envoy panicked. There should be none.",
		}),
		logEntries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "claviger_extauthz_log_entries_total",
			Help: "Entries of Envoy's access logs, by what became of them: reported, again, skipped (no request that was let pass), refused or failed.",
		}, []string{"result"}),
		byStatus: map[int]prometheus.Observer{},
	}
	for _, status := range statuses {
		m.byStatus[status] = m.duration.WithLabelValues(strconv.Itoa(status))
	}
	return m
}

func (m *metrics) register(r prometheus.Registerer) error {
	return errors.Join(r.Register(m.duration), r.Register(m.malformed), r.Register(m.shed), r.Register(m.panics), r.Register(m.logEntries))
}

func (m *metrics) answered(status int, took time.Duration) {
	if observer, ok := m.byStatus[status]; ok {
		observer.Observe(took.Seconds())
	}
}
