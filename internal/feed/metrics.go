package feed

import (
	"errors"
	"math"

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
	stalenessDesc = prometheus.NewDesc("claviger_feed_staleness_seconds",
		"How long ago the API server was last heard of, for the resource of which it was not heard for longest, or of the snapshot that is served from; "+
			"up to about a minute is normal, and +Inf is that nobody knows.", nil, nil)
	sourceDesc = prometheus.NewDesc("claviger_feed_source",
		"1 for where the index is from: api or snapshot; neither before it is ready.", []string{"source"}, nil)
	contactDesc = prometheus.NewDesc("claviger_feed_last_contact_timestamp_seconds",
		"When the API server was last heard of, by resource. It speaks about every minute even if nothing changes.", []string{"resource"}, nil)
)

// Describe implements prometheus.Collector.
func (collector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- syncedDesc
	descriptions <- stalenessDesc
	descriptions <- sourceDesc
	descriptions <- contactDesc
}

// Collect implements prometheus.Collector.
func (c collector) Collect(collected chan<- prometheus.Metric) {
	live := c.feed.live()
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		collected <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	gauge(syncedDesc, number(live))
	gauge(sourceDesc, number(live), "api")
	gauge(sourceDesc, number(!live && c.feed.restored.Load() != nil), "snapshot")
	staleness := math.Inf(1)
	if age := c.feed.staleness(); age != forever {
		staleness = age.Seconds()
	}
	gauge(stalenessDesc, staleness)
	for _, contact := range c.feed.contacts.byResource {
		if age, ok := c.feed.contacts.age(contact); ok {
			at := c.feed.clock.Now().Add(-age)
			gauge(contactDesc, float64(at.UnixNano())/1e9, contact.resource)
		}
	}
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
