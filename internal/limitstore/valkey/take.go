package valkey

import (
	"context"
	"time"

	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/limitstore"
)

// Ask is one counter of a request. All that are asked for together have the same Tag.
type Ask struct {
	Counter limitstore.Counter
	Rule    *limit.Rule
	// Known is what this process knows of the counter: it is brought up to date, and the counter goes on from there where
	// the server has forgotten it. It is not for Concurrency, and may be nil.
	Known *limit.Bucket
	// Slots are the requests of the subject that are under way in this process, for Concurrency only.
	Slots *limit.Slots
	// Group is 0 for what is enforced, and else a number for each KeyLimit that is in shadow mode.
	Group int
}

// Take asks for what a request costs by all the rules, and takes it by all of group 0 or by
// none. Every other group is taken all or none as well, and only where group 0 was. It appends the answers to results: one is
// Allowed where there was enough by that rule. The id names the request among those under way. While the
// server is away Outage decides; an error is always ErrUnavailable.
//
// It waits no longer than the Timeout, whether or not ctx ends: what one client gives up must not look like
// a server that is away.
func (s *Store) Take(_ context.Context, now time.Time, asks []Ask, cost limit.Cost, id string, results []limit.Result) ([]limit.Result, error) {
	if len(asks) == 0 {
		return results, nil
	}
	conn := s.readyFor(asks, now)
	if conn == nil {
		return s.decide(now, asks, cost, id, results)
	}
	c := newCall()
	defer c.free()
	for i := range asks {
		a := &asks[i]
		c.entries = append(c.entries, a.entry())
		e := &c.entries[i]
		e.asks, e.amount, e.id = true, a.Rule.Amount(cost), id
	}
	if s.run(conn, c, now) != nil {
		return s.decide(now, asks, cost, id, results)
	}
	taken := c.taken()
	for i := range asks {
		a, v := &asks[i], c.verdicts[i]
		if a.Rule.Kind != limit.Concurrency {
			results = append(results, a.learn(now, v, c.entries[i].amount))
			continue
		}
		results = append(results, underWay(a.Rule, now, v))
		if v.allowed && taken(a.Group) && a.Slots != nil {
			a.Slots.Hold(numberOf(id), now.UnixNano(), now.UnixNano()+int64(a.Rule.Per), limit.MaxConcurrency)
		}
	}
	return results, nil
}

func (a *Ask) entry() entry {
	e := entry{counter: a.Counter, rule: a.Rule, group: a.Group}
	if a.Known != nil {
		e.seed = a.Known.Word()
	}
	return e
}

// taken tells of each group whether it was taken.
func (c *call) taken() func(group int) bool {
	allowed := func(group int) bool {
		for i := range c.entries {
			if c.entries[i].group == group && !c.verdicts[i].allowed {
				return false
			}
		}
		return true
	}
	enforced := allowed(0)
	return func(group int) bool { return enforced && (group == 0 || allowed(group)) }
}

// learn keeps what is told of a counter, and computes by it as if it had been counted here.
func (a *Ask) learn(now time.Time, v verdict, amount int64) limit.Result {
	word := wordOf(a.Rule, now, v.a, v.b)
	if a.Known != nil {
		a.Known.SetWord(word)
	}
	return resultOf(a.Rule, now, word, v.allowed, amount)
}

func resultOf(r *limit.Rule, now time.Time, word uint64, allowed bool, amount int64) limit.Result {
	var b limit.Bucket
	b.SetWord(word)
	result := r.Look(&b, now)
	if allowed {
		return result
	}
	if refused := r.Take(&b, now, amount); !refused.Allowed {
		return refused
	}
	// What did not suffice by the server's clock does so here, by a fraction of a millisecond.
	result.Allowed, result.RetryAfter = false, time.Millisecond
	return result
}

// soon is what to ask of a client for whose sake some other request must end first: most end
// soon.
const soon = time.Second

func underWay(r *limit.Rule, now time.Time, v verdict) limit.Result {
	result := limit.Result{Allowed: v.allowed, Limit: r.Max, Remaining: max(0, r.Max-v.a), ResetAt: now}
	if v.b >= 0 {
		result.ResetAt = now.Add(time.Duration(v.b) * time.Microsecond).UTC()
	}
	if !v.allowed {
		result.RetryAfter = max(time.Millisecond, min(soon, result.ResetAt.Sub(now)))
	}
	return result
}

// numberOf is the number of a request in Slots: FNV-1a.
func numberOf(id string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	return h
}

// Charge counts what was used already, whether or not it fits: of Budgets the microcents, and else the requests.
// While the server is away it is kept, and counted later.
func (s *Store) Charge(_ context.Context, now time.Time, asks []Ask, amount limit.Cost) error {
	s.tell(now, asks, func(e *entry) bool {
		e.used = e.rule.Amount(amount)
		return e.rule.Kind != limit.Concurrency && e.used != 0
	}, func() { s.charge(now, asks, amount) })
	return nil
}

// Release tells that a request is not under way any more. While the server is away that is kept, and
// told later.
func (s *Store) Release(_ context.Context, now time.Time, asks []Ask, id string) error {
	for i := range asks {
		if a := &asks[i]; a.Rule.Kind == limit.Concurrency && a.Slots != nil {
			a.Slots.Release(numberOf(id), now.UnixNano())
		}
	}
	s.tell(now, asks, func(e *entry) bool {
		e.used, e.id = -1, id
		return e.rule.Kind == limit.Concurrency
	}, func() { s.release(now, asks, id) })
	return nil
}

// tell has counted what fill says of each counter, and where that cannot be told has it kept.
func (s *Store) tell(now time.Time, asks []Ask, fill func(*entry) bool, keep func()) {
	c := newCall()
	defer c.free()
	told := make([]*Ask, 0, 8)
	for i := range asks {
		if e := asks[i].entry(); fill(&e) {
			c.entries = append(c.entries, e)
			told = append(told, &asks[i])
		}
	}
	if len(told) == 0 {
		return
	}
	conn := s.readyFor(asks, now)
	if conn == nil || s.run(conn, c, now) != nil {
		keep()
		return
	}
	for i, a := range told {
		if a.Rule.Kind != limit.Concurrency {
			a.learn(now, c.verdicts[i], 0)
		}
	}
}

func (s *Store) readyFor(asks []Ask, now time.Time) *connection {
	return s.ready(asks[0].Counter.Tag, len(asks), func(i int) limitstore.Counter { return asks[i].Counter }, now)
}
