package feed

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

func newEmptyLists() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "claviger_feed_empty_lists_total",
		Help: "Empty lists of a kind that had objects before, by resource and by what came of asking again: confirmed, refuted or unanswered.",
	}, []string{"resource", "outcome"})
}

func (f *Feed) register(r prometheus.Registerer) error {
	return errors.Join(r.Register(f.contacts.failures), r.Register(f.emptyLists), r.Register(collector{f}))
}

// collector tells the state of the feed when it is asked.
type collector struct {
	feed *Feed
}

var (
	syncedDesc = prometheus.NewDesc("claviger_feed_synced",
		"1 once everything that there was at the start is in the index.", nil, nil)
	contactDesc = prometheus.NewDesc("claviger_feed_last_contact_timestamp_seconds",
		"When the API server was last heard of, by resource. It speaks about every minute even if nothing changes.", []string{"resource"}, nil)
)

// Describe implements prometheus.Collector.
func (collector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- syncedDesc
	descriptions <- contactDesc
}

// Collect implements prometheus.Collector.
func (c collector) Collect(collected chan<- prometheus.Metric) {
	synced := 0.0
	if c.feed.Ready() == nil {
		synced = 1
	}
	collected <- prometheus.MustNewConstMetric(syncedDesc, prometheus.GaugeValue, synced)
	for _, contact := range c.feed.contacts.byResource {
		if age, ok := c.feed.contacts.age(contact); ok {
			at := c.feed.clock.Now().Add(-age)
			collected <- prometheus.MustNewConstMetric(contactDesc, prometheus.GaugeValue, float64(at.UnixNano())/1e9, contact.resource)
		}
	}
}
