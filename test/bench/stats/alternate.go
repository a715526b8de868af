package stats

import "fmt"

// Side is one of several things that are measured in turns.
type Side struct {
	Name string
	// Measure measures for one short slice of time. It returns one figure for each thing that it
	// measured, always as many and in the same order.
	Measure func() ([]float64, error)
}

// Alternate measures every side in each round, so that a machine that becomes slower or
// faster meanwhile does so for all of them. The order turns from round to round: whoever
// always came second would always find the caches of the first. It returns the samples by side and
// figure, without those of a first round that only warms up.
func Alternate(rounds int, sides []Side) ([][]Sample, error) {
	samples := make([][]Sample, len(sides))
	for round := range rounds + 1 {
		for turn := range sides {
			i := turn
			if round%2 == 1 {
				i = len(sides) - 1 - turn
			}
			figures, err := sides[i].Measure()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", sides[i].Name, err)
			}
			if samples[i] == nil {
				samples[i] = make([]Sample, len(figures))
			}
			if round == 0 {
				continue
			}
			for f, figure := range figures {
				samples[i][f] = append(samples[i][f], figure)
			}
		}
	}
	return samples, nil
}
