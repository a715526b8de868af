package verifier_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/verifier"
)

func keySeries(t *testing.T, registry *prometheus.Registry) string {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, family := range families {
		if family.GetName() != "claviger_key_requests_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			lines = append(lines, fmt.Sprint(strings.Join(labels, " "), " ", m.GetCounter().GetValue()))
		}
	}
	return strings.Join(lines, ", ")
}

func TestSeriesOfKeysAreThereWhereTheyAreAskedForAndEndWithTheKey(t *testing.T) {
	for _, wanted := range []bool{false, true} {
		index, registry := indextest.New(), prometheus.NewRegistry()
		key := indextest.Issue(t, index, "k")
		v, err := verifier.New(verifier.Options{Index: index, Registerer: registry, MetricsPerKey: wanted})
		if err != nil {
			t.Fatal(err)
		}
		for _, scope := range []string{"", "admin", ""} {
			r := verifier.Request{Key: key}
			if scope != "" {
				r.Scopes.AllOf = []string{scope}
			}
			v.Verify(t.Context(), r)
		}
		v.Inspect(t.Context(), verifier.Request{Key: key})
		want := ""
		if wanted {
			want = "k tenant allowed tenant/shop 2, k tenant denied tenant/shop 1"
		}
		if got := keySeries(t, registry); got != want {
			t.Errorf("asked for: %t; got %q, want %q", wanted, got, want)
		}
		index.DeleteApiKey(indextest.UID("key", "k"))
		if got := keySeries(t, registry); got != "" {
			t.Errorf("of a key that is gone there is %q", got)
		}
	}
}
