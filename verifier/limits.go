package verifier

import (
	"time"

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/limit"
)

// counted is how a key's limits stand at a decision.
type counted struct {
	limits     *Limits // of the decision
	refused    bool
	retryAfter time.Duration
}

// take counts a request against every limit, or against none where one refuses. All of them
// are told then too, and the wait is until the slowest would allow it.
func (c *counted) take(entry *keyindex.Entry, now time.Time, cost int64) {
	if len(entry.Limits) == 0 {
		return
	}
	var (
		attachedBuffer [fewLimits]limit.Attached
		resultsBuffer  [fewLimits]limit.Result
	)
	attached := attachedBuffer[:0]
	for i := range entry.Limits {
		attached = append(attached, entry.Attached(i))
	}
	results, refusedBy := limit.TakeAll(attached, now, cost, resultsBuffer[:0])
	c.refused = refusedBy >= 0
	for i := range attached {
		if i < len(results) {
			c.add(&entry.Limits[i], results[i])
		} else {
			c.add(&entry.Limits[i], probe(attached[i], now, cost))
		}
	}
}

// look tells how the limits stand without counting anything.
func (c *counted) look(entry *keyindex.Entry, now time.Time) {
	for i := range entry.Limits {
		attached := entry.Attached(i)
		c.add(&entry.Limits[i], attached.Rate.Take(attached.Bucket, now, 0))
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

func (c *counted) add(l *keyindex.Limit, result limit.Result) {
	*c.limits.add() = Limit{
		Name:      l.Name,
		Requests:  l.Requests,
		Per:       l.Per,
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
