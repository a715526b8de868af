package usagerecorder

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	events, stored, dropped, linesDropped prometheus.Counter
	failures, journalFailures             prometheus.Counter
	seconds                               prometheus.Histogram
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func newMetrics() metrics {
	return metrics{
		events: counter("claviger_usage_events_total", "Decisions and reported outcomes that were counted."),
		stored: counter("claviger_usage_events_stored_total", "Of those, the ones that the usage store has taken in."),
		dropped: counter("claviger_usage_events_dropped_total",
			"Decisions that were not counted because the queue in front of the counting was full or closed. More than zero means that usage is under-reported."),
		linesDropped: counter("claviger_usage_log_lines_dropped_total",
			"Lines of the request log that were given up because neither store nor journal took them in. Their events are counted."),
		failures: counter("claviger_usage_flush_failures_total",
			"Attempts to store usage that failed. What they held waits in the journal and is tried again."),
		journalFailures: counter("claviger_usage_journal_failures_total",
			"Batches and reports that could not be written into the journal of usage, or read from it. What could not be written is in memory alone."),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "claviger_usage_flush_duration_seconds",
			Help:    "How long it took to store what was counted since the flush before.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}),
	}
}

func (m metrics) register(registerer prometheus.Registerer, r *Recorder) error {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.events, m.stored, m.dropped, m.linesDropped, m.failures, m.journalFailures, m.seconds,
		gauge("claviger_usage_pending_events", "Events that were counted and are not stored yet, but for those that an earlier process left.", func() float64 {
			events, _ := r.backlog.pending()
			return float64(events)
		}),
		gauge("claviger_usage_pending_seconds", "For how long the oldest of them has been waiting.", func() float64 {
			if _, since := r.backlog.pending(); !since.IsZero() {
				return r.clock.Since(since).Seconds()
			}
			return 0
		}),
		gauge("claviger_usage_journal_bytes", "How much is in the journal of usage, which is what waits to be stored.",
			func() float64 { return float64(r.journal.Bytes()) }),
	} {
		errs = append(errs, registerer.Register(c))
	}
	return errors.Join(errs...)
}
