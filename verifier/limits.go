package verifier

import (
	"time"

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/limit"
)

// counted is how a key's limits stand at a decision.
type counted struct {
	limits     Limits
	refused    bool
	retryAfter time.Duration
}

// take counts a request against every limit, or against none where one refuses. All of them
// are told then too, and the wait is until the slowest would allow it.
func (c *counted) take(limits *keyindex.Limits, now time.Time, cost int64) {
	if len(limits.Attached) == 0 {
		return
	}
	var buffer [8]limit.Result
	results, refusedBy := limit.TakeAll(limits.Attached, now, cost, buffer[:0])
	c.refused = refusedBy >= 0
	for i, attached := range limits.Attached {
		if i >= len(results) {
			results = append(results, probe(attached, now, cost))
		}
		c.add(limits.Names[i], attached.Rate, results[i])
	}
}

// look tells how the limits stand without counting anything.
func (c *counted) look(limits *keyindex.Limits, now time.Time) {
	for i, attached := range limits.Attached {
		c.add(limits.Names[i], attached.Rate, attached.Rate.Take(attached.Bucket, now, 0))
	}
}

// probe tells how a limit stands and, where it would refuse a request, for how long.
func probe(attached limit.Attached, now time.Time, cost int64) limit.Result {
	result := attached.Rate.Take(attached.Bucket, now, 0)
	if result.Remaining >= cost {
		return result
	}
	if result = attached.Rate.Take(attached.Bucket, now, cost); result.Allowed {
		attached.Rate.Return(attached.Bucket, now, cost) // it had just become free
		result.Remaining += cost
	}
	return result
}

func (c *counted) add(name string, rate limit.Rate, result limit.Result) {
	*c.limits.add() = Limit{
		Name:      name,
		Requests:  rate.Requests,
		Per:       rate.Per,
		Capacity:  result.Limit,
		Remaining: result.Remaining,
		ResetAt:   result.ResetAt,
	}
	c.retryAfter = max(c.retryAfter, result.RetryAfter)
}

// tightest is the limit that will refuse first; nil: there is none.
func (c *counted) tightest() *Limit {
	var tightest *Limit
	for i := range c.limits.Len() {
		l := c.limits.At(i)
		if tightest == nil || l.Remaining < tightest.Remaining ||
			l.Remaining == tightest.Remaining && l.ResetAt.After(tightest.ResetAt) {
			tightest = l
		}
	}
	return tightest
}
