package valkey

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/test/valkeyserver"
)

// team is some verifiers that know of each other.
type team struct {
	t      *testing.T
	server *valkeyserver.Server
	clock  *clock
	stores []*Store
}

func newTeam(t *testing.T, size int, o Options, server ...valkeyserver.Option) *team {
	t.Helper()
	m := &team{t: t, server: valkeyserver.Start(t, append(server, valkeyserver.AppendOnly())...), clock: newClock()}
	o.URL, o.Now = m.server.URL(), m.clock.Now
	for range size {
		m.stores = append(m.stores, start(t, o))
	}
	for _, s := range m.stores {
		wait(t, "the verifiers know of each other", func() bool { return s.Verifiers() == size })
	}
	return m
}

// asks is one counter, as each of them asks for it.
func (m *team) asks(r *limit.Rule) []Ask {
	var all []Ask
	a := ask(r)
	for range m.stores {
		a.Known, a.Slots = new(limit.Bucket), new(limit.Slots)
		all = append(all, a)
	}
	return all
}

// takeAll has each ask until it is refused, in turn, and says how many were admitted in all.
func (m *team) takeAll(asks []Ask, most int) (admitted int) {
	m.t.Helper()
	for refused := 0; refused < len(asks); {
		refused = 0
		for i, s := range m.stores {
			if m.take(s, asks[i]) {
				admitted++
			} else {
				refused++
			}
		}
		if admitted > most {
			m.t.Fatalf("more than %d are admitted", most)
		}
	}
	return admitted
}

func (m *team) take(s *Store, a Ask) bool {
	m.t.Helper()
	results, err := s.Take(context.Background(), m.clock.Now(), []Ask{a}, limit.Cost{Requests: 1, Microcents: 1}, fmt.Sprint(counters.Add(1)), nil)
	if err != nil {
		m.t.Fatal(err)
	}
	return results[0].Allowed
}

func (m *team) away() {
	m.t.Helper()
	m.server.Kill()
	for _, s := range m.stores {
		wait(m.t, "the outage is noticed", func() bool { return !s.connected() })
	}
}

func (m *team) back() {
	m.t.Helper()
	m.server.Restart()
	waitSettled(m.t, m.stores...)
}

func kinds() []*limit.Rule {
	calendar := limit.NewCalendar(limit.Daily, 1, nil)
	return []*limit.Rule{
		{Kind: limit.Span, Max: 90, Per: time.Hour},
		{Kind: limit.Tokens, Max: 90, Burst: 90, Per: time.Hour},
		{Kind: limit.Quota, Max: 90, Calendar: calendar},
		{Kind: limit.Budget, Max: 90, Calendar: calendar},
		{Kind: limit.Concurrency, Max: 90, Per: time.Hour},
	}
}

func TestInAnOutageAllVerifiersTogetherAdmitTheLimit(t *testing.T) {
	for _, r := range kinds() {
		t.Run(fmt.Sprint(r.Kind), func(t *testing.T) {
			t.Parallel()
			m := newTeam(t, 3, Options{})
			asks := m.asks(r)
			before := 0
			for range 10 {
				for i, s := range m.stores {
					if m.take(s, asks[i]) {
						before++
					}
				}
			}
			m.away()
			during := m.takeAll(asks, 90)
			// What was known last differs by the few that the others took since.
			if total := before + during; total < 85 || total > 92 {
				t.Errorf("%d were admitted before and %d in the outage, of 90", before, during)
			}
			m.back()
			if after := m.takeAll(asks, 90); before+during+after != max(90, before+during) {
				t.Errorf("%d were admitted before, %d in the outage and %d after it, of 90", before, during, after)
			}
		})
	}
}

// A limit that is smaller than the number of verifiers leaves each of them one.
func TestInAnOutageEachVerifierHasAtLeastOne(t *testing.T) {
	t.Parallel()
	m := newTeam(t, 3, Options{})
	for _, r := range kinds() {
		if r.Max = 2; r.Kind == limit.Tokens {
			r.Burst = 2
		}
		asks := m.asks(r)
		m.away()
		if got := m.takeAll(asks, 3); got != 3 {
			t.Errorf("%v: %d are admitted", r.Kind, got)
		}
		m.back()
		for i, s := range m.stores {
			if m.take(s, asks[i]) {
				t.Errorf("%v: one more is admitted after it", r.Kind)
			}
		}
	}
}

// Tokens go on flowing in an outage, and spans go on being over.
func TestInAnOutageTimeGoesOn(t *testing.T) {
	t.Parallel()
	m := newTeam(t, 3, Options{})
	for _, r := range kinds()[:4] {
		asks := m.asks(r)
		m.takeAll(asks, 90)
		m.away()
		if got := m.takeAll(asks, 90); got != 0 {
			t.Errorf("%v: %d are admitted though nothing is left", r.Kind, got)
		}
		m.clock.advance(r.Per + 24*time.Hour)
		if got := m.takeAll(asks, 90); got != 90 {
			t.Errorf("%v: %d are admitted when it is whole again", r.Kind, got)
		}
		m.back()
		if got := m.takeAll(asks, 90); got != 0 {
			t.Errorf("%v: %d are admitted after the outage", r.Kind, got)
		}
		m.away()
		m.clock.advance(r.Per + 24*time.Hour)
		m.takeAll(asks, 90)
		m.clock.advance(r.Per + 24*time.Hour)
		m.back()
		if got := m.takeAll(asks, 90); got != 90 {
			t.Errorf("%v: %d are admitted though what was used in the outage counts no more", r.Kind, got)
		}
	}
}
