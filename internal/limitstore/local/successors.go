package local

import "github.com/claviger-dev/claviger/internal/limit"

// successors tells for each new rate which old one it goes on from, or -1. A rate is known
// again by its span first, wherever it stands in the list, and else by its place among those that
// are left. A counted span and a token bucket never follow one another: their buckets do not
// mean the same.
func successors(old []Rate, fresh []limit.Rate) []int {
	taken := make([]bool, len(old))
	origin := make([]int, len(fresh))
	for i := range origin {
		origin[i] = -1
	}
	match := func(same func(a, b limit.Rate) bool) {
		for i := range fresh {
			for j := range old {
				if origin[i] < 0 && !taken[j] && sameAlgorithm(old[j].Rate, fresh[i]) && same(old[j].Rate, fresh[i]) {
					origin[i], taken[j] = j, true
				}
			}
		}
	}
	match(func(a, b limit.Rate) bool { return a == b })
	match(func(a, b limit.Rate) bool { return a.Per == b.Per })
	match(func(limit.Rate, limit.Rate) bool { return true })
	return origin
}

func sameAlgorithm(a, b limit.Rate) bool { return (a.Burst > 0) == (b.Burst > 0) }
