package report

import (
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/claviger-dev/claviger/test/bench/stats"
)

func TestTheTableSaysWhatIsMet(t *testing.T) {
	r := &Report{Progress: io.Discard}
	r.Section("Transports")
	row := FromSample("HTTP verify", "http_verify_ratio", "ratio", stats.Sample{0.85, 0.9, 0.87})
	row.Measured, row.Bare = "87,000/s", "100,000/s"
	r.Add(row)
	r.Add(Row{What: "in process", Metric: "verify_inprocess_ns", Unit: "ns", Value: 449.6})
	r.Add(Row{What: "allocations", Metric: "verify_inprocess_allocs", Unit: "allocations", Value: 1})
	r.Add(Row{What: "of interest only", Unit: "ns", Value: 12.345})
	var out strings.Builder
	r.Write(&out)
	for _, want := range []string{
		"### Transports\n",
		"| HTTP verify | 87,000/s | 100,000/s | 0.870 | 0.860 – 0.885 | ≥ 0.850 | ≥ 0.920 | met |\n",
		"| in process |  |  | 450 ns |  | ≤ 600 ns | ≤ 450 ns | aim met |\n",
		"| allocations |  |  | 1 allocations |  | ≤ 0 allocations | ≤ 0 allocations | **not met** |\n",
		"| of interest only |  |  | 12.35 ns |  |  |  |  |\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("not in the table: %s\n%s", want, out.String())
		}
	}

	var encoded strings.Builder
	if err := r.WriteJSON(&encoded); err != nil {
		t.Fatal(err)
	}
	var figures []struct {
		Name, Unit string
		Value      float64
	}
	if err := json.Unmarshal([]byte(encoded.String()), &figures); err != nil {
		t.Fatal(err)
	}
	if len(figures) != 3 || figures[0].Name != "http_verify_ratio" || figures[0].Unit != "ratio" || figures[0].Value != 0.87 {
		t.Errorf("got %+v", figures)
	}
}

func TestWhatIsNotMeasuredIsSaid(t *testing.T) {
	r := &Report{Progress: io.Discard}
	r.Section("Nothing")
	r.Note("Not measured: there is no server.")
	var out strings.Builder
	r.Write(&out)
	if got, want := out.String(), "\n### Nothing\n\nNot measured: there is no server.\n\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestVerdicts(t *testing.T) {
	for metric, tests := range map[string]map[float64]string{
		"extauthz_ratio":             {1.7: "aim met", 1.6: "aim met", 1.3: "met", 1.2: "met", 1.19: "**not met**"},
		"verify_inprocess_ns":        {449: "aim met", 450: "aim met", 600: "met", 601: "**not met**"},
		"verify_inprocess_allocs":    {0: "aim met", 0.01: "**not met**"},
		"limits_leased_over_percent": {0: "aim met", 0.4: "met", 1: "met", 1.1: "**not met**"},
		"limits_strict_over_percent": {0: "aim met", 0.1: "**not met**"},
		"unknown":                    {1: ""},
	} {
		for value, want := range tests {
			if got := verdict(Row{Metric: metric, Value: value}); got != want {
				t.Errorf("%s of %v: %q, want %q", metric, value, got, want)
			}
		}
	}
}

func TestNumbersAreReadable(t *testing.T) {
	for value, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234", -123: "-123"} {
		if got := Count(value); got != want {
			t.Errorf("%v is written %s, want %s", value, got, want)
		}
	}
}
