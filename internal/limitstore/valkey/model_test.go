package valkey

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/limitstore"
	"github.com/claviger-dev/claviger/test/valkeyserver"
)

// clock is one that tests set, to microseconds, as the script knows them.
type clock struct{ now atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.now.Store(time.Date(2026, 3, 14, 22, 0, 0, 0, time.UTC).UnixMicro())
	return c
}

func (c *clock) Now() time.Time          { return time.UnixMicro(c.now.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.now.Add(d.Microseconds()) }

func drawRule(t *rapid.T) *limit.Rule {
	r := &limit.Rule{
		Kind: rapid.SampledFrom([]limit.Kind{limit.Span, limit.Tokens, limit.Quota, limit.Budget, limit.Concurrency}).Draw(t, "kind"),
		Max:  rapid.Int64Range(1, 20).Draw(t, "max"),
		Per:  time.Duration(rapid.IntRange(60, 3600).Draw(t, "seconds")) * time.Second,
	}
	switch r.Kind {
	case limit.Tokens:
		r.Burst = rapid.Int64Range(1, 20).Draw(t, "burst")
	case limit.Quota, limit.Budget:
		r.Calendar = drawCalendar(t)
	}
	return r
}

func drawCalendar(t *rapid.T) *limit.Calendar {
	zone := time.FixedZone("somewhere", rapid.IntRange(-12, 14).Draw(t, "zone")*3600)
	return limit.NewCalendar(limit.Reset(rapid.IntRange(0, 2).Draw(t, "reset")), rapid.IntRange(1, 7).Draw(t, "anchor"), zone)
}

// drawStep is how a clock is set: anyhow, or to where a rule may change its mind.
func drawStep(t *rapid.T, all []limit.Attached, now time.Time) time.Duration {
	per := all[rapid.IntRange(0, len(all)-1).Draw(t, "of")].Rule.Per
	midnight := now.Truncate(time.Hour).Add(time.Hour).Sub(now) // somewhere
	step := rapid.SampledFrom([]time.Duration{per, -per, per - time.Millisecond, midnight, midnight - time.Microsecond}).Draw(t, "step")
	if rapid.Bool().Draw(t, "anyhow") {
		step = time.Duration(rapid.Int64Range(-int64(2*time.Hour), int64(3*time.Hour)).Draw(t, "set"))
	}
	return step
}

// model counts in this process what the stores share.
type model struct {
	asks []Ask
	all  []limit.Attached
	held []map[uint64]int64 // of each, until when the requests are under way
}

// forget makes requests that are over stay so when the clock is set back, as they do in the store.
func (m *model) forget(now time.Time) {
	for i, held := range m.held {
		for id, until := range held {
			if until <= now.UnixNano() {
				m.all[i].Slots.Release(id, 0)
				delete(held, id)
			}
		}
	}
}

// hold keeps until when a request is under way, and shortens that of others as Slots do.
func (m *model) hold(i int, now time.Time, id uint64, ok bool) {
	if m.asks[i].Rule.Kind != limit.Concurrency {
		return
	}
	at, per := now.UnixNano(), int64(m.asks[i].Rule.Per)
	for id, until := range m.held[i] {
		if until-at > per+int64(time.Minute) {
			m.held[i][id] = at + per
		}
	}
	if ok {
		m.held[i][id] = at + per
	}
}

func (m *model) take(now time.Time, cost limit.Cost) []limit.Result {
	m.forget(now)
	results := make([]limit.Result, len(m.all))
	for i := range m.all {
		results[i] = m.all[i].Look(now)
		results[i].Allowed = true
	}
	enforced := m.takeGroup(0, now, cost, results)
	done := map[int]bool{0: true}
	for _, a := range m.asks {
		if enforced && !done[a.Group] {
			m.takeGroup(a.Group, now, cost, results)
		}
		done[a.Group] = true
	}
	return results
}

// takeGroup takes each, and where one refuses gives all back.
func (m *model) takeGroup(group int, now time.Time, cost limit.Cost, results []limit.Result) bool {
	refused := false
	words := make([]uint64, len(m.all))
	for i := range m.all {
		if m.asks[i].Group != group {
			continue
		}
		a := &m.all[i]
		words[i] = a.Bucket.Word()
		results[i] = a.Take(now, cost)
		m.hold(i, now, cost.Number, results[i].Allowed)
		refused = refused || !results[i].Allowed
	}
	for i := range m.all {
		if a := &m.all[i]; refused && m.asks[i].Group == group && results[i].Allowed {
			a.Bucket.SetWord(words[i])
			a.Slots.Release(cost.Number, now.UnixNano())
			delete(m.held[i], cost.Number)
			results[i] = a.Look(now)
			results[i].Allowed = true
		}
	}
	return !refused
}

// draw grants as much as there is.
func (m *model) draw(i int, now time.Time, used, want int64) (granted int64, result limit.Result) {
	a := &m.all[i]
	if used != 0 {
		a.Rule.Charge(a.Bucket, now, used)
	}
	granted = min(want, a.Look(now).Remaining)
	if granted > 0 {
		a.Rule.Take(a.Bucket, now, granted)
	}
	return granted, a.Look(now)
}

// Whatever is asked by whichever of two stores, and however the clock is set: the answer is the one that
// would have been given in a process.
func TestWhatIsSharedIsCountedAsInAProcess(t *testing.T) {
	server := valkeyserver.Start(t)
	clock := newClock()
	stores := []*Store{
		start(t, Options{URL: server.URL(), Now: clock.Now}),
		start(t, Options{URL: server.URL(), Now: clock.Now}),
	}
	ctx := context.Background()
	rapid.Check(t, func(t *rapid.T) {
		clock.now.Store(newClock().now.Load())
		tag := fmt.Sprint(counters.Add(1))
		m := &model{}
		asks := make([][]Ask, len(stores)) // each knows something else
		for i := range rapid.IntRange(1, 4).Draw(t, "limits") {
			r := drawRule(t)
			counter := limitstore.Counter{Tag: tag, Rule: fmt.Sprint("limit/", i), Subject: uint64(i)}
			group := rapid.IntRange(0, 2).Draw(t, "group")
			m.all = append(m.all, limit.Attached{Rule: r, Bucket: new(limit.Bucket), Slots: new(limit.Slots)})
			m.asks = append(m.asks, Ask{Counter: counter, Rule: r, Group: group})
			m.held = append(m.held, map[uint64]int64{})
			for j := range stores {
				asks[j] = append(asks[j], Ask{Counter: counter, Rule: r, Group: group, Known: new(limit.Bucket), Slots: new(limit.Slots)})
			}
		}
		var underWay []uint64
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			n := rapid.IntRange(0, len(stores)-1).Draw(t, "store")
			s, now := stores[n], clock.Now()
			cost := limit.Cost{
				Requests: rapid.Int64Range(0, 6).Draw(t, "requests"), Microcents: rapid.Int64Range(0, 6).Draw(t, "microcents"),
			}
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				clock.advance(drawStep(t, m.all, now))
			case 1:
				clock.advance(time.Duration(rapid.Int64Range(0, int64(30*time.Second)).Draw(t, "pause")))
			case 2:
				if rapid.Bool().Draw(t, "less") {
					cost = limit.Cost{Requests: -cost.Requests, Microcents: -cost.Microcents}
				}
				s.Charge(ctx, now, asks[n], cost)
				for i := range m.all {
					if a := &m.all[i]; a.Rule.Kind != limit.Concurrency && a.Rule.Amount(cost) != 0 {
						a.Rule.Charge(a.Bucket, now, a.Rule.Amount(cost))
					}
				}
			case 3:
				if len(underWay) == 0 {
					continue
				}
				i := rapid.IntRange(0, len(underWay)-1).Draw(t, "done")
				s.Release(ctx, now, asks[n], fmt.Sprint(underWay[i]))
				m.forget(now)
				for j := range m.all {
					m.all[j].Slots.Release(underWay[i], now.UnixNano())
					delete(m.held[j], underWay[i])
				}
				underWay = append(underWay[:i], underWay[i+1:]...)
			case 4:
				i := rapid.IntRange(0, len(m.all)-1).Draw(t, "drawn")
				if m.all[i].Rule.Kind == limit.Concurrency {
					continue
				}
				used, want := rapid.Int64Range(0, 3).Draw(t, "used"), rapid.Int64Range(0, 12).Draw(t, "want")
				grants, err := s.Draw(ctx, now, []limitstore.Draw{
					{Counter: m.asks[i].Counter, Rule: m.all[i].Rule, Known: asks[n][i].Known, Used: used, Want: want},
				})
				if err != nil {
					t.Fatal(err)
				}
				granted, result := m.draw(i, now, used, want)
				if g := grants[0]; g.Amount != granted || g.Left != result.Remaining || !g.ResetAt.Equal(result.ResetAt) {
					t.Fatalf("%+v: granted %+v, want %d and then %+v", *m.all[i].Rule, g, granted, result)
				}
			default:
				cost.Number = uint64(counters.Add(1))
				underWay = append(underWay, cost.Number)
				got, err := s.Take(ctx, now, asks[n], cost, fmt.Sprint(cost.Number), nil)
				if err != nil {
					t.Fatal(err)
				}
				want := m.take(now, cost)
				for i := range want {
					if m.all[i].Rule.Kind == limit.Concurrency && want[i].Allowed {
						want[i].ResetAt = got[i].ResetAt // here of the first that is over, there of this one
					}
					if got[i] != want[i] {
						t.Fatalf("limit %d, %+v in group %d, at %v:\n got %+v\nwant %+v", i, *m.all[i].Rule, m.asks[i].Group, now, got[i], want[i])
					}
				}
			}
		}
	})
}
