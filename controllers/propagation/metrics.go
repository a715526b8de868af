package propagation

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	verifiers prometheus.Gauge
	lag       prometheus.Histogram
}

func newMetrics() metrics {
	return metrics{
		verifiers: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "claviger_verifiers",
			Help: "Verifiers that told how far they have come when they were last asked, by the operator that leads.",
		}),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "claviger_revocation_lag_seconds",
			Help:    "How long it took from when the operator saw that a key was revoked until it knew that every verifier refuses it.",
			Buckets: []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300},
		}),
	}
}

func (m metrics) register(registerer prometheus.Registerer) error {
	return errors.Join(registerer.Register(m.verifiers), registerer.Register(m.lag))
}
