package httpapi

import (
	"errors"
	"net/http"
	"strconv"
	"sync"
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
			Help: "How long a door took to answer, by door and by the HTTP status that the answer means.",
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

// statuses are all that doors answer.
var statuses = []int{
	http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
	http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests,
	http.StatusInternalServerError, http.StatusServiceUnavailable,
}

// durations are the histograms of one door, each looked up but once, and only when it is
// needed: what never happened is no series.
type durations map[int]func() prometheus.Observer

func (m *metrics) of(door string) durations {
	d := durations{}
	for _, status := range statuses {
		d[status] = sync.OnceValue(func() prometheus.Observer {
			return m.duration.WithLabelValues(door, strconv.Itoa(status))
		})
	}
	return d
}

func (d durations) answered(status int, took time.Duration) {
	if observer, ok := d[status]; ok {
		observer().Observe(took.Seconds())
	}
}
