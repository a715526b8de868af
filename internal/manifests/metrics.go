package manifests

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	mistakes, loadedAt prometheus.Gauge
}

func newMetrics() metrics {
	return metrics{
		mistakes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "claviger_manifests_mistakes",
			Help: "Mistakes in the directory as it is now; while there are any, what it held before is served.",
		}),
		loadedAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "claviger_manifests_loaded_timestamp_seconds",
			Help: "When a state of the directory was taken up last.",
		}),
	}
}

func (m metrics) register(r prometheus.Registerer) error {
	return errors.Join(r.Register(m.mistakes), r.Register(m.loadedAt))
}
