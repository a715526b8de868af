package valkey

import (
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	answered, failed, unasked prometheus.Counter
	seconds                   prometheus.Histogram
}

func newMetrics(r prometheus.Registerer, s *Store) (*metrics, error) {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "claviger_shared_limits_requests_total",
		Help: "Questions to the server of the shared limits: answered, failed, or unasked because it is away.",
	}, []string{"result"})
	m := &metrics{
		answered: requests.WithLabelValues("answered"),
		failed:   requests.WithLabelValues("failed"),
		unasked:  requests.WithLabelValues("unasked"),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "claviger_shared_limits_seconds",
			Help:    "How long the server of the shared limits took to answer.",
			Buckets: prometheus.ExponentialBuckets(50e-6, 2, 12),
		}),
	}
	up := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "claviger_shared_limits_up",
		Help: "Whether all shared limits can be asked for.",
	}, func() float64 {
		if s.servers.Load().complete() {
			return 1
		}
		return 0
	})
	verifiers := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "claviger_shared_limits_verifiers",
		Help: "Verifiers that share the limits, as far as is known.",
	}, func() float64 { return float64(s.Verifiers()) })
	if r == nil {
		return m, nil
	}
	for _, collector := range []prometheus.Collector{requests, m.seconds, up, verifiers} {
		if err := r.Register(collector); err != nil {
			return nil, err
		}
	}
	return m, nil
}
