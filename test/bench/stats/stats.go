// Package stats is the arithmetic of the benchmarks: medians, quartiles, percentiles, and
// measuring several things in turns.
package stats

import (
	"math"
	"slices"
	"time"
)

// Sample is what one thing measured in several slices of time.
type Sample []float64

// Quantile is the value below which a share q, from 0 to 1, of the sample lies, between two
// values in proportion. An empty sample has none: NaN.
func (s Sample) Quantile(q float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	place := q * float64(len(sorted)-1)
	below := int(place)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (place-float64(below))*(sorted[above]-sorted[below])
}

// Median is the middle. A slice that something else on the machine disturbed does not move it.
func (s Sample) Median() float64 { return s.Quantile(0.5) }

// Quartiles hold the middle half: the spread that is reported.
func (s Sample) Quartiles() (low, high float64) { return s.Quantile(0.25), s.Quantile(0.75) }

// Ratios divides slice by slice: each of s by its neighbour in time of the other. What slowed the machine
// for both is gone from the quotient, which it would not be from a quotient of two medians.
func (s Sample) Ratios(other Sample) Sample {
	ratios := make(Sample, min(len(s), len(other)))
	for i := range ratios {
		ratios[i] = s[i] / other[i]
	}
	return ratios
}

// Percentile is the nearest-rank percentile: the shortest of the durations that at least a
// share p, from 0 to 1, of them do not exceed. It sorts them. Of none it is zero.
func Percentile(durations []time.Duration, p float64) time.Duration {
	if len(durations) == 0 {
		return 0
	}
	slices.Sort(durations)
	rank := int(math.Ceil(p * float64(len(durations))))
	return durations[min(max(rank, 1), len(durations))-1]
}
