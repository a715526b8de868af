package verifier

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/policy"
)

// metrics are the verifier's own. None has a label for a key or a tenant: there may be
// millions of them.
type metrics struct {
	decisions *prometheus.CounterVec
	byCode    map[Code]prometheus.Counter // looked up once, not for each request
	objects   *objects
}

func newMetrics(index *keyindex.Index) *metrics {
	m := &metrics{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "claviger_decisions_total",
			Help: "Decisions, by their code.",
		}, []string{"code"}),
		byCode:  map[Code]prometheus.Counter{},
		objects: &objects{index},
	}
	for _, code := range policy.Codes() {
		m.byCode[code] = m.decisions.WithLabelValues(code.String())
	}
	return m
}

func (m *metrics) register(r prometheus.Registerer) error {
	if err := errors.Join(r.Register(m.decisions), r.Register(m.objects)); err != nil {
		return fmt.Errorf("registering the verifier's metrics: %w", err)
	}
	return nil
}

func (m *metrics) decided(code Code) {
	if counter, ok := m.byCode[code]; ok {
		counter.Inc()
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
