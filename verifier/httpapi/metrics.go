package httpapi

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	duration *prometheus.HistogramVec
	panics   prometheus.Counter
}

func newMetrics() *metrics {
	return &metrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "claviger_http_request_duration_seconds",
			Help: "How long a door took to answer, by door and HTTP status.",
			// A decision takes microseconds; what takes a millisecond is waiting for the client or a CPU.
			Buckets: []float64{.00001, .000025, .00005, .0001, .00025, .0005, .001, .0025, .01, .05, .25, 1},
		}, []string{"door", "status"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "claviger_http_panics_total",
			Help: "Requests that were answered 500 because a door panicked. There should be none.",
		}),
	}
}

func (m *metrics) register(r prometheus.Registerer) error {
	return errors.Join(r.Register(m.duration), r.Register(m.panics))
}

func (m *metrics) answered(door string, status int, took time.Duration) {
	m.duration.WithLabelValues(door, strconv.Itoa(status)).Observe(took.Seconds())
}
