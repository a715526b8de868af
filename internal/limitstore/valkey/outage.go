package valkey

import (
	"time"

	"github.com/claviger-dev/claviger/internal/limit"
)

// decide is what Take answers while the server is away.
func (s *Store) decide(now time.Time, asks []Ask, cost limit.Cost, id string, results []limit.Result) ([]limit.Result, error) {
	if len(asks) == 0 {
		return results, nil
	}
	if s.options.Outage == OutageClosed {
		return results, ErrUnavailable
	}
	st := s.shares.stripe(asks[0].Counter.Tag)
	st.Lock()
	defer st.Unlock()
	begin := len(results)
	for range asks {
		results = append(results, limit.Result{})
	}
	d := decision{s, st, now, asks, cost, id, s.parts(), results[begin:]}
	if !d.take(0) {
		for i := range asks {
			if asks[i].Group != 0 {
				d.results[i] = d.share(i).look(now)
			}
		}
		return results, nil
	}
	for i := range asks {
		if g := asks[i].Group; g != 0 && d.first(i) {
			d.take(g)
		}
	}
	return results, nil
}

// parts is into how many parts limits are divided. Where everything is admitted, or nothing, what is counted
// is counted against the whole.
func (s *Store) parts() int64 {
	if s.options.Outage != OutageLocal {
		return 1
	}
	return int64(s.Verifiers())
}

// decision is one request, decided here. The stripe is locked.
type decision struct {
	store   *Store
	stripe  *stripe
	now     time.Time
	asks    []Ask
	cost    limit.Cost
	id      string
	parts   int64
	results []limit.Result
}

func (d *decision) share(i int) *share {
	return d.store.shares.get(d.stripe, &d.asks[i], d.parts, d.now)
}

// first says whether no ask before is of the same group.
func (d *decision) first(i int) bool {
	for j := range i {
		if d.asks[j].Group == d.asks[i].Group {
			return false
		}
	}
	return true
}

// take takes all of a group, or nothing.
func (d *decision) take(group int) bool {
	words := make([]uint64, len(d.asks)) // before, to put back
	refused := false
	for i := range d.asks {
		if d.asks[i].Group == group {
			sh := d.share(i)
			words[i] = sh.bucket.Word()
			d.results[i] = sh.take(d.now, sh.rule.Amount(d.cost), d.id, d.store.options.Outage == OutageOpen)
			refused = refused || !d.results[i].Allowed
		}
	}
	for i := len(d.asks) - 1; refused && i >= 0; i-- {
		if d.asks[i].Group == group && d.results[i].Allowed {
			sh := d.share(i)
			sh.bucket.SetWord(words[i])
			sh.forget(d.now, d.id)
			d.results[i] = sh.look(d.now)
		}
	}
	return !refused
}

// take takes an amount, or in any case.
func (sh *share) take(now time.Time, amount int64, id string, always bool) limit.Result {
	if sh.rule.Kind == limit.Concurrency {
		return sh.hold(now, id, always)
	}
	if always {
		sh.part.Charge(&sh.bucket, now, amount)
		return sh.look(now)
	}
	result := sh.part.Take(&sh.bucket, now, amount)
	result.Limit = sh.rule.Capacity()
	return result
}

func (sh *share) look(now time.Time) limit.Result {
	var result limit.Result
	if sh.rule.Kind == limit.Concurrency {
		inUse, next := sh.slots.InUse(now.UnixNano())
		result = sh.underWay(now, true, inUse, next)
	} else {
		result = sh.part.Look(&sh.bucket, now)
	}
	result.Limit = sh.rule.Capacity()
	return result
}

func (sh *share) hold(now time.Time, id string, always bool) limit.Result {
	most, until := sh.part.Max, now.UnixNano()+int64(sh.rule.Per)
	if always {
		most = limit.MaxConcurrency
	}
	inUse, ok := sh.slots.Hold(numberOf(id), now.UnixNano(), until, most)
	if ok {
		sh.held = append(sh.held, holding{id, until})
	}
	_, next := sh.slots.InUse(now.UnixNano())
	result := sh.underWay(now, ok || always, inUse, next)
	result.Limit = sh.rule.Capacity()
	return result
}

func (sh *share) underWay(now time.Time, allowed bool, inUse, next int64) limit.Result {
	v := verdict{allowed: allowed, a: inUse, b: -1}
	if next > 0 {
		v.b = (next - now.UnixNano()) / int64(time.Microsecond)
	}
	return underWay(&sh.part, now, v)
}

// forget takes back that a request was allowed.
func (sh *share) forget(now time.Time, id string) {
	if n := len(sh.held); sh.rule.Kind == limit.Concurrency && n > 0 {
		sh.held = sh.held[:n-1]
		sh.slots.Release(numberOf(id), now.UnixNano())
	}
}

// charge keeps what was used while the server is away.
func (s *Store) charge(now time.Time, asks []Ask, amount limit.Cost) {
	st := s.shares.stripe(asks[0].Counter.Tag)
	st.Lock()
	defer st.Unlock()
	for i := range asks {
		if used := asks[i].Rule.Amount(amount); used != 0 && asks[i].Rule.Kind != limit.Concurrency {
			sh := s.shares.get(st, &asks[i], s.parts(), now)
			sh.part.Charge(&sh.bucket, now, used)
		}
	}
}

// Beyond so many requests that are over, the server finds out by itself when their time has passed.
const mostReleased = 10_000

// release keeps that a request is over while the server is away.
func (s *Store) release(now time.Time, asks []Ask, id string) {
	st := s.shares.stripe(asks[0].Counter.Tag)
	st.Lock()
	defer st.Unlock()
	for i := range asks {
		if asks[i].Rule.Kind != limit.Concurrency {
			continue
		}
		sh := s.shares.get(st, &asks[i], s.parts(), now)
		if asks[i].Slots == nil {
			sh.slots.Release(numberOf(id), now.UnixNano())
		}
		if !sh.unhold(id) && len(sh.released) < mostReleased {
			sh.released = append(sh.released, id)
		}
	}
}

// unhold forgets a request of which the server was never told.
func (sh *share) unhold(id string) bool {
	for i := range sh.held {
		if sh.held[i].id == id {
			sh.held = append(sh.held[:i], sh.held[i+1:]...)
			return true
		}
	}
	return false
}
