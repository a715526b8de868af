package verifier

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/claviger-dev/claviger/internal/policy"
)

// maxKeySeries is how many keys have series of their own. Each is kept by Prometheus for weeks, so that those of a cluster with
// many keys cost more than what they tell is worth; the others are counted together.
const maxKeySeries = 10_000

// keyMetrics count the requests of each key, where somebody asks for that. It is a prometheus.Collector.
type keyMetrics struct {
	known  func(KeyID) (Key, bool)
	counts sync.Map // *keyCounts by KeyID
	length atomic.Int64
	others keyCounts
}

type keyCounts struct{ allowed, denied atomic.Int64 }

func (c *keyCounts) count(code policy.Code) {
	if code == policy.CodeValid {
		c.allowed.Add(1)
	} else {
		c.denied.Add(1)
	}
}

// count counts a decision about a key.
func (m *keyMetrics) count(id KeyID, code policy.Code) {
	if counts, ok := m.counts.Load(id); ok {
		counts.(*keyCounts).count(code)
		return
	}
	if m.length.Load() >= maxKeySeries {
		m.others.count(code)
		return
	}
	counts, before := m.counts.LoadOrStore(id, &keyCounts{})
	if !before {
		m.length.Add(1)
	}
	counts.(*keyCounts).count(code)
}

var keyRequests = prometheus.NewDesc("claviger_key_requests_total",
	"Decisions about each key that exists, by whether it was allowed or denied. Off unless --metrics-per-key is set.",
	[]string{"namespace", "name", "workspace", "status"}, nil)

// Describe implements prometheus.Collector.
func (m *keyMetrics) Describe(into chan<- *prometheus.Desc) { into <- keyRequests }

// Collect implements prometheus.Collector. The series of a key end with it.
func (m *keyMetrics) Collect(into chan<- prometheus.Metric) {
	tell := func(c *keyCounts, namespace, name, workspace string) {
		for status, count := range map[string]int64{"allowed": c.allowed.Load(), "denied": c.denied.Load()} {
			into <- prometheus.MustNewConstMetric(keyRequests, prometheus.CounterValue, float64(count), namespace, name, workspace, status)
		}
	}
	m.counts.Range(func(id, counts any) bool {
		key, ok := m.known(id.(KeyID))
		if !ok {
			m.counts.Delete(id)
			m.length.Add(-1)
			return true
		}
		tell(counts.(*keyCounts), key.Namespace, key.Name, key.Workspace)
		return true
	})
	if m.others.allowed.Load()+m.others.denied.Load() > 0 {
		tell(&m.others, "", "(other)", "")
	}
}
