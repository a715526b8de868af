package limit

import "time"

// Attached is a rule with where it is counted: in Slots for Concurrency, and else in a Bucket.
type Attached struct {
	Rule   *Rule
	Bucket *Bucket
	Slots  *Slots
}

// Cost is what a request takes.
type Cost struct {
	Requests int64
	// Microcents are what is known of it before: it may turn out to be more.
	Microcents int64
	// Number tells the request from others that are under way.
	Number uint64
}

// Take asks one rule for what a request costs by it.
func (a *Attached) Take(now time.Time, cost Cost) Result {
	if a.Rule.Kind == Concurrency {
		return a.hold(now, cost.Number)
	}
	return a.Rule.Take(a.Bucket, now, a.amount(cost))
}

// Return gives back what a Take was allowed, because another limit refused the request.
func (a *Attached) Return(now time.Time, cost Cost) {
	if a.Rule.Kind == Concurrency {
		a.Slots.Release(cost.Number, now.UnixNano())
	} else if amount := a.amount(cost); amount > 0 {
		a.Rule.Charge(a.Bucket, now, -amount)
	}
}

// amount is how much of a cost the rule counts.
func (a *Attached) amount(cost Cost) int64 { return a.Rule.Amount(cost) }

// Amount is how much of a cost a rule counts.
func (r *Rule) Amount(cost Cost) int64 {
	switch r.Kind {
	case Concurrency:
		return 1
	case Budget:
		return cost.Microcents
	}
	return cost.Requests
}

// Look tells how the rule stands without taking anything.
func (a *Attached) Look(now time.Time) Result {
	if a.Rule.Kind != Concurrency {
		return a.Rule.Look(a.Bucket, now)
	}
	inUse, next := a.Slots.InUse(now.UnixNano())
	return a.held(now, inUse, next)
}

// Probe tells how the rule stands and, where it would refuse a request, for how long.
func (a *Attached) Probe(now time.Time, cost Cost) Result {
	result := a.Look(now)
	if result.Remaining >= max(1, a.amount(cost)) {
		return result
	}
	if result = a.Take(now, cost); result.Allowed {
		a.Return(now, cost) // it had just become free
		result.Remaining = min(result.Limit, result.Remaining+a.amount(cost))
	}
	return result
}

func (a *Attached) hold(now time.Time, number uint64) Result {
	at := now.UnixNano()
	inUse, allowed := a.Slots.Hold(number, at, at+int64(a.Rule.Per), a.Rule.Max)
	if allowed {
		result := a.held(now, inUse, at+int64(a.Rule.Per))
		result.Allowed = true
		return result
	}
	_, next := a.Slots.InUse(at)
	result := a.held(now, inUse, next)
	result.RetryAfter = max(time.Millisecond, min(patience, result.ResetAt.Sub(now)))
	return result
}

// patience is what to ask of a client for whose sake some other request must end first: nobody knows when
// that will be, and most end soon.
const patience = time.Second

func (a *Attached) held(now time.Time, inUse, next int64) Result {
	result := Result{Limit: a.Rule.Max, Remaining: max(0, a.Rule.Max-inUse), ResetAt: now}
	if next > 0 {
		result.ResetAt = time.Unix(0, next).UTC()
	}
	return result
}

// TakeAll asks every rule for what a request costs: all of them or none. It appends the answers to results
// and returns them with the index of the rule that refused, or -1. What was taken before a
// refusal is given back, so a refused request counts against nothing; another request may meanwhile
// have been refused for want of it.
func TakeAll(attached []Attached, now time.Time, cost Cost, results []Result) ([]Result, int) {
	for i := range attached {
		result := attached[i].Take(now, cost)
		results = append(results, result)
		if result.Allowed {
			continue
		}
		for j := range i {
			attached[j].Return(now, cost)
			results[j].Remaining = min(results[j].Limit, results[j].Remaining+attached[j].amount(cost))
		}
		return results, i
	}
	return results, -1
}
