package limit

import "time"

// Attached is a rate with the bucket it is counted in.
type Attached struct {
	Rate   Rate
	Bucket *Bucket
}

// TakeAll asks every rate for cost requests: all of them or none. It appends the answers to results
// and returns them with the index of the rate that refused, or -1. What was taken before a
// refusal is given back, so a refused request counts against nothing; another request may meanwhile
// have been refused for want of it.
func TakeAll(attached []Attached, now time.Time, cost int64, results []Result) ([]Result, int) {
	for i, a := range attached {
		result := a.Rate.Take(a.Bucket, now, cost)
		results = append(results, result)
		if result.Allowed {
			continue
		}
		for j := range i {
			attached[j].Rate.Return(attached[j].Bucket, now, cost)
			results[j].Remaining = min(results[j].Limit, results[j].Remaining+cost)
		}
		return results, i
	}
	return results, -1
}
