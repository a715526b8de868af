package usagerecorder

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	dropped, failures prometheus.Counter
	seconds           prometheus.Histogram
}

func newMetrics() metrics {
	return metrics{
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "claviger_usage_events_dropped_total",
			Help: "Decisions that were not counted because the queue in front of the usage store was full or closed. More than zero means that usage is under-reported.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "claviger_usage_flush_failures_total",
			Help: "Attempts to store usage that failed. What they held is kept in memory and tried again.",
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "claviger_usage_flush_duration_seconds",
			Help:    "How long it took to store what was counted since the flush before.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}),
	}
}

func (m metrics) register(registerer prometheus.Registerer) error {
	return errors.Join(registerer.Register(m.dropped), registerer.Register(m.failures), registerer.Register(m.seconds))
}
