package usage

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	writes       *prometheus.CounterVec
	durations    prometheus.Histogram
	readFailures prometheus.Counter
	pending      prometheus.Gauge
}

func newMetrics() metrics {
	return metrics{
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "claviger_usage_status_writes_total",
			Help: "Objects whose usage was due to be shown in their status, by what became of it: written, unchanged, gone, conflict, refused, throttled or failed.",
		}, []string{"result"}),
		durations: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "claviger_usage_status_write_duration_seconds",
			Help:    "How long the API server took to answer a write of usage into a status, whatever the answer.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
		}),
		readFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "claviger_usage_feed_failures_total",
			Help: "Attempts to read one of the verifier's usage feeds that failed.",
		}),
		pending: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "claviger_usage_status_pending",
			Help: "Objects whose status does not show their newest usage yet.",
		}),
	}
}

func (m metrics) register(registerer prometheus.Registerer) error {
	return errors.Join(registerer.Register(m.writes), registerer.Register(m.durations),
		registerer.Register(m.readFailures), registerer.Register(m.pending))
}
