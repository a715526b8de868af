package stats

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestQuantiles(t *testing.T) {
	tests := map[string]struct {
		sample            Sample
		low, median, high float64
	}{
		"one":        {Sample{3}, 3, 3, 3},
		"two":        {Sample{4, 2}, 2.5, 3, 3.5},
		"odd":        {Sample{5, 1, 3, 2, 4}, 2, 3, 4},
		"an outlier": {Sample{1, 1, 1000, 1, 1}, 1, 1, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := slices.Clone(test.sample)
			low, high := test.sample.Quartiles()
			if median := test.sample.Median(); low != test.low || median != test.median || high != test.high {
				t.Errorf("got %v, %v, %v, want %v, %v, %v", low, median, high, test.low, test.median, test.high)
			}
			if !slices.Equal(before, test.sample) {
				t.Error("the sample was put in another order")
			}
		})
	}
	if m := (Sample{}).Median(); !math.IsNaN(m) {
		t.Errorf("the median of nothing is %v", m)
	}
}

func TestRatiosAreTakenSliceBySlice(t *testing.T) {
	// The machine became half as fast in the middle; the ratio did not change.
	slower, bare := Sample{90, 90, 45, 45}, Sample{100, 100, 50, 50}
	if got := slower.Ratios(bare); !slices.Equal(got, Sample{0.9, 0.9, 0.9, 0.9}) {
		t.Errorf("got %v", got)
	}
	if got := slower.Ratios(bare[:2]); len(got) != 2 {
		t.Errorf("got %v", got)
	}
}

func TestPercentiles(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(100 - i)
	}
	for p, want := range map[float64]time.Duration{0: 1, 0.5: 50, 0.99: 99, 0.991: 100, 1: 100} {
		if got := Percentile(slices.Clone(hundred), p); got != want {
			t.Errorf("the percentile %v is %d, want %d", p, got, want)
		}
	}
	if got := Percentile(nil, 0.99); got != 0 {
		t.Errorf("of nothing it is %d", got)
	}
}

// The definition, by counting.
func TestAPercentileIsTheLeastThatEnoughDoNotExceed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		durations := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.IntRange(0, 20).Draw(t, "duration"))
		}), 1, 40).Draw(t, "durations")
		p := rapid.Float64Range(0.01, 1).Draw(t, "p")
		got := Percentile(slices.Clone(durations), p)
		enough := func(limit time.Duration) bool {
			n := 0
			for _, d := range durations {
				if d <= limit {
					n++
				}
			}
			return float64(n) >= p*float64(len(durations))
		}
		if !slices.Contains(durations, got) || !enough(got) || enough(got-1) {
			t.Fatalf("the percentile %v of %v is said to be %v", p, durations, got)
		}
	})
}

func TestSidesTakeTurns(t *testing.T) {
	var order strings.Builder
	side := func(name string) Side {
		n := 0.0
		return Side{name, func() ([]float64, error) {
			order.WriteString(name)
			n++
			return []float64{n, -n}, nil
		}}
	}
	samples, err := Alternate(3, []Side{side("a"), side("b"), side("c")})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := order.String(), "abc"+"cba"+"abc"+"cba"; got != want {
		t.Errorf("measured in the order %s, want %s", got, want)
	}
	for i, figures := range samples {
		if len(figures) != 2 || !slices.Equal(figures[0], Sample{2, 3, 4}) || !slices.Equal(figures[1], Sample{-2, -3, -4}) {
			t.Errorf("side %d: %v, want all but the first round", i, figures)
		}
	}
}

func TestAFailedSideIsNamed(t *testing.T) {
	broken := errors.New("broken")
	_, err := Alternate(1, []Side{{"the bare server", func() ([]float64, error) { return nil, broken }}})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "the bare server") {
		t.Errorf("got %v", err)
	}
}
