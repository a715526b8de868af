package verifier

import (
	"context"
	"hash/maphash"
	"time"

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/usage"
)

// counted is what the limits have to say to a request. How they stand is told elsewhere: what is recorded lives
// longer than a decision, and would keep that in memory.
type counted struct {
	code       policy.Code
	retryAfter time.Duration
	refusal    *usage.Refusal // nil: no limit refused, nor would have
}

// take counts a request against every limit, or against none where one refuses. All of them
// are told then too, and the wait is until the slowest would allow it.
func (v *Verifier) take(ctx context.Context, c *counted, stand *Limits, entry *keyindex.Entry, r *Request, now time.Time) {
	c.code = policy.CodeValid
	if len(entry.Limits) == 0 {
		return
	}
	cost := limit.Cost{Requests: max(1, r.Cost.Requests), Microcents: r.Cost.SpendMicrocents}
	var resultsBuffer [fewLimits]limit.Result
	results := resultsBuffer[:0]
	if v.shared != nil {
		var err error
		if results, err = v.shared.take(ctx, entry, now, cost, r.ID, results); err != nil {
			c.code, c.retryAfter = policy.CodeLimitsUnavailable, unavailableFor
			return
		}
	} else {
		results = takeHere(entry, now, cost, r.ID, results)
	}
	c.settle(stand, entry, results, now)
}

// unavailableFor is what to ask of a client while limits cannot be checked.
const unavailableFor = time.Second

// takeHere counts in this process. A limit in shadow is asked only where all that are enforced
// allow the request.
func takeHere(entry *keyindex.Entry, now time.Time, cost limit.Cost, id string, results []limit.Result) []limit.Result {
	var attachedBuffer [fewLimits]limit.Attached
	attached := attachedBuffer[:0]
	for i := range entry.Limits {
		attached = append(attached, entry.Attached(i))
		if entry.Limits[i].Kind == limit.Concurrency && cost.Number == 0 {
			cost.Number = slotNumber(id)
		}
	}
	for from := 0; from < len(attached); {
		to, refusedBy := groupEnd(entry.Limits, from), 0
		results, refusedBy = limit.TakeAll(attached[from:to], now, cost, results)
		enforced := entry.Limits[from].Group == 0
		for i := len(results); i < to; i++ {
			results = append(results, limit.Result{Allowed: true})
			if enforced {
				results[i] = attached[i].Probe(now, cost)
			}
		}
		if enforced && refusedBy >= 0 {
			break
		}
		from = to
	}
	return results
}

// groupEnd is where the group of limits ends that begins at a place.
func groupEnd(limits []keyindex.Limit, from int) int {
	to := from
	for to < len(limits) && limits[to].Group == limits[from].Group {
		to++
	}
	return to
}

var slotSeed = maphash.MakeSeed()

// slotNumber is what a request is known by while it is under way.
func slotNumber(id string) uint64 { return maphash.String(slotSeed, id) }

// settle tells of each limit that is enforced, and which refused. The results are those of the entry's
// first limits, in order.
func (c *counted) settle(stand *Limits, entry *keyindex.Entry, results []limit.Result, now time.Time) {
	for i := range results {
		l, result := &entry.Limits[i], &results[i]
		if l.Kind == limit.Concurrency && result.Allowed {
			stand.slots = true
		}
		switch {
		case l.Group == 0:
			stand.tell(l, result, now)
			if !result.Allowed {
				c.refuse(l, result, now)
			}
		case !result.Allowed:
			c.wouldRefuse(l)
		}
	}
}

// refuse takes note of a limit that refuses. Of several the one counts that does for longest.
func (c *counted) refuse(l *keyindex.Limit, result *limit.Result, now time.Time) {
	if c.code != policy.CodeValid && result.RetryAfter <= c.retryAfter {
		return
	}
	c.code, c.retryAfter = refusals[l.Kind], result.RetryAfter
	if c.refusal == nil {
		c.refusal = &usage.Refusal{}
	}
	c.refusal.By, c.refusal.Until = string(l.ID), now.Add(result.RetryAfter)
}

func (c *counted) wouldRefuse(l *keyindex.Limit) {
	if c.refusal == nil {
		c.refusal = &usage.Refusal{}
	}
	c.refusal.Shadows = append(c.refusal.Shadows, string(l.ID))
}

var refusals = [...]policy.Code{
	limit.Span: policy.CodeRateLimited, limit.Tokens: policy.CodeRateLimited,
	limit.Quota: policy.CodeQuotaExhausted, limit.Budget: policy.CodeBudgetExhausted,
	limit.Concurrency: policy.CodeConcurrencyExceeded,
}

// look tells how the limits stand without counting anything.
func (v *Verifier) look(stand *Limits, entry *keyindex.Entry, now time.Time) {
	for i := range entry.Limits {
		l := &entry.Limits[i]
		if l.Group != 0 {
			continue
		}
		var result limit.Result
		if v.shared != nil {
			result = v.shared.look(entry, i, now)
		} else {
			attached := entry.Attached(i)
			result = attached.Look(now)
		}
		stand.tell(l, &result, now)
	}
}

// tell adds how a limit stands.
func (l *Limits) tell(of *keyindex.Limit, result *limit.Result, now time.Time) {
	told := l.add()
	*told = Limit{
		Name:      of.Name,
		Kind:      of.Kind,
		Max:       of.Max,
		Per:       of.Per,
		Capacity:  result.Limit,
		Remaining: result.Remaining,
		ResetAt:   result.ResetAt,
	}
	if of.Calendar != nil {
		period := of.Calendar.At(now)
		told.Reset, told.Per = of.Calendar.Reset(), period.End.Sub(period.Start)
	}
}

// tightest is the limit of requests that will refuse first; nil: there is none.
func (l *Limits) tightest() *Limit {
	return l.least(func(kind limit.Kind) bool { return kind <= limit.Quota })
}

// budget is the budget of which the least is left; nil: there is none.
func (l *Limits) budget() *Limit {
	return l.least(func(kind limit.Kind) bool { return kind == limit.Budget })
}

func (l *Limits) least(of func(limit.Kind) bool) *Limit {
	var least *Limit
	for i := range l.Len() {
		one := l.At(i)
		if of(one.Kind) && (least == nil || one.Remaining < least.Remaining ||
			one.Remaining == least.Remaining && one.ResetAt.After(least.ResetAt)) {
			least = one
		}
	}
	return least
}
