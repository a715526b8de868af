package feed

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

func (f *Feed) register(r prometheus.Registerer) error {
	return errors.Join(r.Register(f.contacts.failures), r.Register(collector{f}))
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
		if at := contact.heardAt.Load(); at != 0 {
			collected <- prometheus.MustNewConstMetric(contactDesc, prometheus.GaugeValue, float64(at)/1e9, contact.resource)
		}
	}
}
