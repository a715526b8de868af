package leased

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/claviger-dev/claviger/internal/limit"
)

type metrics struct {
	granted, refused, told, failed prometheus.Counter
	// What was given back, in requests and in microcents.
	requests, microcents prometheus.Counter

	collectors []prometheus.Collector
}

func newMetrics(leases func() float64) metrics {
	draws := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "claviger_lease_draws_total",
		Help: "Parts of shared limits that were asked for, by what came of it: granted, refused (nothing was left), told (only what was used or is given back) or failed (the shared store did not answer).",
	}, []string{"result"})
	returned := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "claviger_lease_units_returned_total",
		Help: "What was granted ahead of need and given back unused, by its unit: requests or microcents.",
	}, []string{"unit"})
	return metrics{
		granted: draws.WithLabelValues("granted"), refused: draws.WithLabelValues("refused"),
		told: draws.WithLabelValues("told"), failed: draws.WithLabelValues("failed"),
		requests: returned.WithLabelValues("requests"), microcents: returned.WithLabelValues("microcents"),
		collectors: []prometheus.Collector{draws, returned, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "claviger_leases",
			Help: "Counters of shared limits of which this verifier holds a part, or did until shortly before.",
		}, leases)},
	}
}

func (m *metrics) register(registerer prometheus.Registerer) error {
	var errs []error
	for _, collector := range m.collectors {
		errs = append(errs, registerer.Register(collector))
	}
	return errors.Join(errs...)
}

func (m *metrics) returned(rule *limit.Rule, amount int64) {
	if rule.Kind == limit.Budget {
		m.microcents.Add(float64(amount))
	} else {
		m.requests.Add(float64(amount))
	}
}
