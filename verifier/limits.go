package verifier

import (
	"time"

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/limit"
)

// counted is how a key's limits stand at a decision.
type counted struct {
	limits     []Limit
	refused    bool
	retryAfter time.Duration
}

// take counts one request against every limit, or against none where one refuses. All of them
// are told then too, and the wait is until the slowest would allow it.
func take(limits *keyindex.Limits, now time.Time) counted {
	if len(limits.Attached) == 0 {
		return counted{}
	}
	var buffer [8]limit.Result
	results, refusedBy := limit.TakeAll(limits.Attached, now, 1, buffer[:0])
	c := counted{refused: refusedBy >= 0}
	for i, attached := range limits.Attached {
		if i >= len(results) {
			results = append(results, probe(attached, now))
		}
		c.add(limits.Names[i], attached.Rate, results[i])
	}
	return c
}

// look tells how the limits stand without counting anything.
func look(limits *keyindex.Limits, now time.Time) counted {
	var c counted
	for i, attached := range limits.Attached {
		c.add(limits.Names[i], attached.Rate, attached.Rate.Take(attached.Bucket, now, 0))
	}
	return c
}

// probe tells how a limit stands and, where it would refuse a request, for how long.
func probe(attached limit.Attached, now time.Time) limit.Result {
	result := attached.Rate.Take(attached.Bucket, now, 0)
	if result.Remaining > 0 {
		return result
	}
	if result = attached.Rate.Take(attached.Bucket, now, 1); result.Allowed {
		attached.Rate.Return(attached.Bucket, now, 1) // it had just become free
		result.Remaining++
	}
	return result
}

func (c *counted) add(name string, rate limit.Rate, result limit.Result) {
	c.limits = append(c.limits, Limit{
		Name:      name,
		Requests:  rate.Requests,
		Per:       rate.Per,
		Capacity:  result.Limit,
		Remaining: result.Remaining,
		ResetAt:   result.ResetAt,
	})
	c.retryAfter = max(c.retryAfter, result.RetryAfter)
}

// tightest is the limit that will refuse first; nil: there is none.
func (c *counted) tightest() *Limit {
	var tightest *Limit
	for i := range c.limits {
		l := &c.limits[i]
		if tightest == nil || l.Remaining < tightest.Remaining ||
			l.Remaining == tightest.Remaining && l.ResetAt.After(tightest.ResetAt) {
			tightest = l
		}
	}
	return tightest
}
