package verifier

import (
	"context"
	"time"

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/limitstore"
	"github.com/claviger-dev/claviger/internal/limitstore/leased"
	"github.com/claviger-dev/claviger/internal/limitstore/valkey"
)

// taking is a request that is being counted by shared limits. Leases come first: they are at hand, and are given
// back where a limit refuses that must be asked for.
type taking struct {
	shared  *shared
	entry   *keyindex.Entry
	now     time.Time
	cost    limit.Cost
	results []limit.Result // one for each limit
	taken   []leased.Taken // likewise; zero where nothing was
	asks    []valkey.Ask
	asked   []int // which limit each of the asks is for
}

// take counts a request against every limit of a key, as takeHere does. The error is that limits cannot be
// asked, and were not to be guessed.
func (s *shared) take(ctx context.Context, entry *keyindex.Entry, now time.Time, cost limit.Cost, id string, results []limit.Result) ([]limit.Result, error) {
	if allLeased(entry.Limits) {
		if results, ok := s.takeLeased(ctx, entry, now, cost, results); ok {
			return results, nil
		}
	}
	// What is asked for elsewhere lives on the heap. It must not draw there what a decision in memory needs.
	kept := *entry
	return s.takeAsking(ctx, &taking{shared: s, entry: &kept, now: now, cost: cost}, id)
}

func allLeased(limits []keyindex.Limit) bool {
	for i := range limits {
		if limits[i].Strict || limits[i].Kind == limit.Concurrency {
			return false
		}
	}
	return true
}

// takeLeased counts a request that is held to leased limits only, without any memory of its own. It is not ok, and nothing is
// counted, where a lease is used up and nobody can be asked for more.
func (s *shared) takeLeased(ctx context.Context, entry *keyindex.Entry, now time.Time, cost limit.Cost, results []limit.Result) (_ []limit.Result, ok bool) {
	var takenBuffer [fewLimits]leased.Taken
	taken := takenBuffer[:0]
	limits := entry.Limits
	begun := 0 // where the group begins
	refused := false
	for i := range limits {
		if limits[i].Group != limits[begun].Group {
			if refused && limits[begun].Group == 0 {
				break // limits in shadow are asked only where the others allow
			}
			begun, refused = i, false
		}
		if refused {
			results, taken = append(results, s.rest(entry, i, now)), append(taken, leased.Taken{})
			continue
		}
		result, took, err := s.leaseOf(entry, i).Take(ctx, now, &limits[i].Rule.Rule, limits[i].Amount(cost))
		results, taken = append(results, result), append(taken, took)
		if err != nil || !result.Allowed {
			refused = true
			giveBack(limits, cost, results, taken, begun, i)
		}
		if err != nil {
			giveBack(limits, cost, results, taken, 0, i)
			return results[:0], false
		}
	}
	return results, true
}

// rest tells of a limit whose group has refused already: how it stands, if anybody is told.
func (s *shared) rest(entry *keyindex.Entry, i int, now time.Time) limit.Result {
	if entry.Limits[i].Group > 0 {
		return limit.Result{Allowed: true}
	}
	return s.look(entry, i, now)
}

// giveBack gives back what was taken of leases, so that a request that is refused counts against nothing.
func giveBack(limits []keyindex.Limit, cost limit.Cost, results []limit.Result, taken []leased.Taken, from, to int) {
	for i := from; i < to; i++ {
		if taken[i] == (leased.Taken{}) {
			continue
		}
		taken[i].Return()
		taken[i] = leased.Taken{}
		results[i].Remaining = min(results[i].Limit, results[i].Remaining+limits[i].Amount(cost))
	}
}

// takeAsking counts a request for which some limits must be asked for.
func (s *shared) takeAsking(ctx context.Context, t *taking, id string) ([]limit.Result, error) {
	limits := t.entry.Limits
	for range limits {
		t.results = append(t.results, limit.Result{Allowed: true})
		t.taken = append(t.taken, leased.Taken{})
	}
	for from := 0; from < len(limits); {
		to := groupEnd(limits, from)
		if !t.lease(ctx, from, to) && limits[from].Group == 0 {
			t.tellRest(from, to)
			return t.results, nil
		}
		from = to
	}
	if len(t.asks) == 0 {
		return t.results, nil
	}
	err := t.ask(ctx, id)
	return t.results, err
}

// lease takes the leased limits of a group, all of them or none, and notes which are to be asked for.
func (t *taking) lease(ctx context.Context, from, to int) bool {
	before := len(t.asks)
	for i := from; i < to; i++ {
		l := &t.entry.Limits[i]
		if l.Strict || l.Kind == limit.Concurrency {
			t.note(i)
			continue
		}
		result, taken, err := t.shared.leaseOf(t.entry, i).Take(ctx, t.now, &l.Rule.Rule, l.Amount(t.cost))
		if err != nil {
			// Nobody could be asked for more. That is for the outage to decide, or for another try.
			t.note(i)
			continue
		}
		t.results[i], t.taken[i] = result, taken
		if !result.Allowed {
			t.giveBack(from, i)
			t.asks, t.asked = t.asks[:before], t.asked[:before]
			return false
		}
	}
	return true
}

// note has a limit asked for, together with others, in one round trip.
func (t *taking) note(i int) {
	t.asks = append(t.asks, t.shared.ask(t.entry, i))
	t.asked = append(t.asked, i)
}

func (t *taking) ask(ctx context.Context, id string) error {
	answers, err := t.shared.store.Take(ctx, t.now, t.asks, t.cost, id, make([]limit.Result, 0, len(t.asks)))
	if err != nil {
		t.giveBack(0, len(t.taken))
		return err
	}
	limits := t.entry.Limits
	refused := false
	for k, i := range t.asked {
		t.results[i] = answers[k]
		refused = refused || !answers[k].Allowed && limits[i].Group == 0
	}
	for from := 0; from < len(limits); {
		to := groupEnd(limits, from)
		switch {
		case refused && limits[from].Group > 0:
			t.giveBack(from, to)
			t.results = t.results[:from] // what is in shadow is not asked where the request is refused anyway
			return nil
		case refused || !t.allowed(from, to):
			t.giveBack(from, to)
		}
		from = to
	}
	return nil
}

func (t *taking) allowed(from, to int) bool {
	for i := from; i < to; i++ {
		if !t.results[i].Allowed {
			return false
		}
	}
	return true
}

func (t *taking) giveBack(from, to int) {
	giveBack(t.entry.Limits, t.cost, t.results, t.taken, from, to)
}

// tellRest tells how the limits stand that were not asked because one had refused already.
func (t *taking) tellRest(from, to int) {
	for i := from; i < to; i++ {
		if t.results[i].Allowed {
			t.results[i] = t.shared.look(t.entry, i, t.now)
		}
	}
	t.results = t.results[:to]
}

// look tells how a limit stands as far as this verifier knows.
func (s *shared) look(entry *keyindex.Entry, i int, now time.Time) limit.Result {
	l := &entry.Limits[i]
	if !l.Strict && l.Kind != limit.Concurrency {
		result := s.leaseOf(entry, i).Look(now, &l.Rule.Rule)
		result.Allowed = true
		return result
	}
	attached := entry.Attached(i)
	return attached.Look(now)
}

// counter is what all verifiers call a limit of a key. A request's counters have the Workspace in
// common, and so are in one place of a cluster.
func counter(entry *keyindex.Entry, i int) limitstore.Counter {
	l := &entry.Limits[i]
	return limitstore.Counter{Tag: entry.Class.WorkspaceID, Rule: l.Shared, RuleHash: l.SharedHash, Subject: uint64(entry.Subject(i))}
}

func (s *shared) leaseOf(entry *keyindex.Entry, i int) *leased.Lease {
	name := counter(entry, i)
	if lease := s.leased.Find(name); lease != nil {
		return lease
	}
	attached := entry.Attached(i)
	return s.leased.Lease(name, attached.Rule, attached.Bucket)
}

func (s *shared) ask(entry *keyindex.Entry, i int) valkey.Ask {
	attached := entry.Attached(i)
	return valkey.Ask{
		Counter: counter(entry, i), Rule: attached.Rule, Known: attached.Bucket, Slots: attached.Slots, Group: entry.Limits[i].Group,
	}
}
