package verifier

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/policy"
)

// metrics are the verifier's own. None has a label for a key or a tenant: there may be
// millions of them.
type metrics struct {
	decisions decisions
	throttled prometheus.Counter
	objects   *objects
}

func newMetrics(index *keyindex.Index) *metrics {
	return &metrics{
		decisions: newDecisions(),
		throttled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "claviger_invalid_keys_throttled_total",
			Help: "Invalid keys that were answered RATE_LIMITED, because too many came from where they did.",
		}),
		objects: &objects{index},
	}
}

func (m *metrics) register(r prometheus.Registerer) error {
	if err := errors.Join(r.Register(m.decisions), r.Register(m.throttled), r.Register(m.objects)); err != nil {
		return fmt.Errorf("registering the verifier's metrics: %w", err)
	}
	return nil
}

// decisions counts decisions by their code. Requests on different processors mostly count in
// different stripes: one counter for all would be the one thing that they wait for each other at.
type decisions []stripe

// stripe fills cache lines of its own: 24 counters are three of 64 bytes.
type stripe [24]atomic.Uint64

func newDecisions() decisions {
	stripes := 1
	for stripes < runtime.GOMAXPROCS(0) {
		stripes *= 2
	}
	return make(decisions, stripes)
}

func (d decisions) count(code Code) {
	d[int(rand.Uint32())&(len(d)-1)][code%Code(len(stripe{}))].Add(1)
}

var decisionsDesc = prometheus.NewDesc("claviger_decisions_total", "Decisions, by their code.", []string{"code"}, nil)

// Describe implements prometheus.Collector.
func (decisions) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- decisionsDesc }

// Collect implements prometheus.Collector.
func (d decisions) Collect(collected chan<- prometheus.Metric) {
	for _, code := range policy.Codes() {
		sum := uint64(0)
		for i := range d {
			sum += d[i][code].Load()
		}
		collected <- prometheus.MustNewConstMetric(decisionsDesc, prometheus.CounterValue, float64(sum), code.String())
	}
}

// objects tells the size of the index when it is asked.
type objects struct {
	index *keyindex.Index
}

var objectsDesc = prometheus.NewDesc("claviger_index_objects", "Objects in the verifier's index, by kind.", []string{"kind"}, nil)

// Describe implements prometheus.Collector.
func (*objects) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- objectsDesc }

// Collect implements prometheus.Collector.
func (o *objects) Collect(collected chan<- prometheus.Metric) {
	counts := o.index.Counts()
	for kind, n := range map[string]int{
		"Credential":     counts.Credentials,
		"ApiKey":         counts.ApiKeys,
		"Workspace":      counts.Workspaces,
		"ServiceAccount": counts.ServiceAccounts,
		"KeyLimit":       counts.KeyLimits,
	} {
		collected <- prometheus.MustNewConstMetric(objectsDesc, prometheus.GaugeValue, float64(n), kind)
	}
}
