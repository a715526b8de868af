package leased

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	testingclock "k8s.io/utils/clock/testing"
	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/internal/limit"
)

// model is some verifiers with what they admitted.
type model struct {
	*rapid.T
	clock     *testingclock.FakeClock
	shared    *shared
	verifiers []*verifier
	rule      *limit.Rule
	highest   int64 // of the rules so far

	kept    []kept // what was admitted and not returned
	charged int64
	waiting int
	answers chan kept
	cancels []context.CancelFunc
	release func() // while draws hang
	unswept time.Duration
}

type kept struct {
	taken  Taken
	result limit.Result
	amount int64
	err    error
	at     time.Time
}

func newModel(t *testing.T, rt *rapid.T, rule *limit.Rule) *model {
	n := rapid.IntRange(1, 3).Draw(rt, "verifiers")
	m := &model{
		T: rt, clock: testingclock.NewFakeClock(start), shared: newShared(n), rule: rule, highest: rule.Max,
		answers: make(chan kept, 1000),
	}
	for range n {
		m.verifiers = append(m.verifiers, newVerifier(t, m.clock, m.shared))
	}
	return m
}

func (m *model) any() *verifier { return rapid.SampledFrom(m.verifiers).Draw(m.T, "verifier") }

func (m *model) take(t *rapid.T) {
	v, amount := m.any(), rapid.Int64Range(0, 4).Draw(t, "amount")
	for range rapid.IntRange(1, 8).Draw(t, "times") {
		ctx, cancel := context.WithCancel(context.Background())
		m.cancels = append(m.cancels, cancel)
		m.waiting++
		rule, now := m.rule, m.clock.Now()
		go func() {
			result, taken, err := v.lease(rule).Take(ctx, now, rule, amount)
			m.answers <- kept{taken, result, amount, err, m.clock.Now()}
		}()
		if rapid.Bool().Draw(t, "one by one") {
			m.collect()
		}
	}
}

// collect waits until nothing happens any more, and books what was answered.
func (m *model) collect() {
	synctest.Wait()
	for len(m.answers) > 0 {
		k := <-m.answers
		m.waiting--
		if r := k.result; r.Remaining < 0 || r.Remaining > r.Limit || r.Allowed && r.RetryAfter != 0 ||
			k.err == nil && !r.Allowed && r.RetryAfter <= 0 {
			m.Fatalf("%+v", r)
		}
		if k.err == nil && k.result.Allowed && k.amount > 0 {
			m.kept = append(m.kept, k)
		}
	}
	if m.waiting == 0 {
		for _, cancel := range m.cancels {
			cancel()
		}
		m.cancels = nil
	} else if m.release == nil {
		m.Fatalf("%d requests wait for nothing", m.waiting)
	}
}

func (m *model) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"take": m.take,
		"return": func(t *rapid.T) {
			if len(m.kept) == 0 {
				t.Skip()
			}
			i := rapid.IntRange(0, len(m.kept)-1).Draw(t, "which")
			m.kept[i].taken.Return()
			m.kept = append(m.kept[:i], m.kept[i+1:]...)
		},
		"sweep": func(*rapid.T) { m.any().sweep() },
		"time passes": func(t *rapid.T) {
			m.step(time.Duration(rapid.IntRange(1, 500).Draw(t, "ms")) * time.Millisecond)
		},
		"the store fails": func(t *rapid.T) {
			m.shared.fail(rapid.SampledFrom([]failure{before, after}).Draw(t, "when"), rapid.IntRange(0, 3).Draw(t, "calls"))
		},
		"the store hangs": func(*rapid.T) {
			if m.release == nil {
				m.release = m.shared.hold()
			}
		},
		"the store goes on": func(*rapid.T) { m.goOn() },
		"requests go away": func(*rapid.T) {
			for _, cancel := range m.cancels {
				cancel()
			}
		},
	}
}

func (m *model) goOn() {
	if m.release != nil {
		m.release()
		m.release = nil
	}
	synctest.Wait()
}

func (m *model) step(d time.Duration) {
	m.clock.Step(d)
	if m.unswept += d; m.unswept >= sweepEvery {
		m.sweep()
	}
}

func (m *model) sweep() {
	m.unswept = 0
	for _, v := range m.verifiers {
		v.sweep()
	}
	synctest.Wait()
}

func (m *model) edit(t *rapid.T) {
	edited := *m.rule
	edited.Max = rapid.SampledFrom([]int64{1, 10, 50, 200}).Draw(t, "max")
	m.rule = &edited
	m.highest = max(m.highest, edited.Max)
}

// withinLimit is that nothing is admitted over the limit in what began with nothing used.
func (m *model) withinLimit() {
	m.collect()
	if m.shared.twice {
		return
	}
	admitted := map[int]int64{}
	for _, k := range m.kept {
		admitted[m.shared.fresh[k.taken.window.epoch]] += k.amount
	}
	for begun, n := range admitted {
		if n > m.highest {
			m.Fatalf("%d were admitted of %d in the %dth", n, m.highest, begun)
		}
	}
}

// conserved is that each unit of the shared counter is somewhere, and only there.
func (m *model) conserved() {
	if m.release != nil {
		return // some are on their way
	}
	epoch, _ := epochOf(m.rule, m.shared.bucket(counter), m.clock.Now())
	if epoch == 0 {
		return
	}
	var admitted, leased, debt int64
	for _, k := range m.kept {
		if k.taken.window.epoch == epoch {
			admitted += k.amount
		}
	}
	for _, v := range m.verifiers {
		units, owed := v.holds(epoch)
		leased, debt = leased+units, debt+owed
	}
	lost := m.shared.lost[epoch]
	counted := m.shared.counted(m.rule, m.clock.Now())
	if counted != admitted+m.charged-debt+leased+lost {
		m.Fatalf("%d are counted, but %d were admitted and %d charged of which %d are owed, %d are leased and %d lost",
			counted, admitted, m.charged, debt, leased, lost)
	}
}

// settled is that once nothing is used all is back in the shared counter.
func (m *model) settled() {
	m.goOn()
	m.shared.fail(none, 0)
	m.collect()
	for range 10 {
		m.clock.Step(sweepEvery)
		m.sweep()
	}
	epoch, _ := epochOf(m.rule, m.shared.bucket(counter), m.clock.Now())
	for _, v := range m.verifiers {
		if units, debt := v.holds(epoch); units != 0 || debt != 0 {
			m.Fatalf("%d are held and %d owed though all is idle", units, debt)
		}
		if v.queues.running != 0 {
			m.Fatalf("%d queues are running", v.queues.running)
		}
	}
}

// check runs all cases in one bubble, by whose clock rapid gives up making a failure smaller.
func check(t *testing.T, property func(*testing.T, *rapid.T)) {
	synctest.Test(t, func(t *testing.T) {
		noDeadline := struct{ rapid.TB }{t} // a bubble has none
		rapid.Check(noDeadline, func(rt *rapid.T) {
			time.Sleep(10 * time.Millisecond)
			property(t, rt)
		})
	})
}

func TestEachUnitIsSomewhere(t *testing.T) {
	check(t, func(t *testing.T, rt *rapid.T) {
		most := rapid.SampledFrom([]int64{1, 10, 50, 200}).Draw(rt, "max")
		m := newModel(t, rt, rapid.SampledFrom([]*limit.Rule{
			{Kind: limit.Span, Max: most, Per: 5 * time.Second}, quota(most), budget(most),
		}).Draw(rt, "rule"))
		actions := m.actions()
		actions["an edit"] = m.edit
		actions["a long time passes"] = func(t *rapid.T) {
			m.step(time.Duration(rapid.IntRange(1, 10_000).Draw(t, "ms")) * time.Millisecond)
		}
		if m.rule.Kind == limit.Budget {
			actions["charge"] = func(t *rapid.T) {
				amount := rapid.Int64Range(1, 30).Draw(t, "amount")
				m.any().lease(m.rule).Charge(m.clock.Now(), amount)
				m.charged += amount
			}
		}
		actions[""] = func(*rapid.T) {
			m.withinLimit()
			m.conserved()
		}
		rt.Repeat(actions)
		m.settled()
		m.conserved()
	})
}

func TestNoStepOfTheClockAdmitsMore(t *testing.T) {
	check(t, func(t *testing.T, rt *rapid.T) {
		most := rapid.SampledFrom([]int64{1, 10, 50, 200}).Draw(rt, "max")
		m := newModel(t, rt, rapid.SampledFrom([]*limit.Rule{
			{Kind: limit.Span, Max: most, Per: 5 * time.Second}, quota(most), budget(most),
		}).Draw(rt, "rule"))
		actions := m.actions()
		actions["the clock is set"] = func(t *rapid.T) {
			m.clock.Step(time.Duration(rapid.IntRange(-100*24*3600, 100*24*3600).Draw(t, "s")) * time.Second)
		}
		actions["the clock is set a bit"] = func(t *rapid.T) {
			m.clock.Step(time.Duration(rapid.IntRange(-10_000, 10_000).Draw(t, "ms")) * time.Millisecond)
		}
		actions[""] = func(*rapid.T) { m.withinLimit() }
		rt.Repeat(actions)
		m.settled()
	})
}

func TestTokensFlowNoFasterThanTheyShould(t *testing.T) {
	check(t, func(t *testing.T, rt *rapid.T) {
		rule := &limit.Rule{
			Kind: limit.Tokens, Per: 10 * time.Second,
			Max:   rapid.SampledFrom([]int64{1, 10, 100}).Draw(rt, "max"),
			Burst: rapid.SampledFrom([]int64{1, 10, 100}).Draw(rt, "burst"),
		}
		m := newModel(t, rt, rule)
		actions := m.actions()
		actions["the process is stopped"] = func(t *rapid.T) {
			m.clock.Step(time.Duration(rapid.IntRange(1, 5000).Draw(t, "ms")) * time.Millisecond)
		}
		actions[""] = func(*rapid.T) { m.collect() }
		rt.Repeat(actions)
		m.settled()
		const late = 3*sweepEvery + lapse
		for i := range m.kept {
			var n int64
			for _, k := range m.kept[i:] {
				n += k.amount
				if most := rule.Burst + int64(k.at.Sub(m.kept[i].at)+late)*rule.Max/int64(rule.Per) + 1; n > most {
					rt.Fatalf("%d were admitted within %v, want at most %d", n, k.at.Sub(m.kept[i].at), most)
				}
			}
		}
	})
}

// A request is refused if there is not enough for it in this verifier and in the shared counter, and only then.
func TestARequestIsAllowedIfThereIsEnough(t *testing.T) {
	check(t, func(t *testing.T, rt *rapid.T) {
		most := rapid.SampledFrom([]int64{1, 10, 50, 200}).Draw(rt, "max")
		m := newModel(t, rt, rapid.SampledFrom([]*limit.Rule{
			{Kind: limit.Span, Max: most, Per: 5 * time.Second}, quota(most), budget(most),
			{Kind: limit.Tokens, Max: most, Burst: 20, Per: 10 * time.Second},
		}).Draw(rt, "rule"))
		rt.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				m.step(longestRefusal) // which others may have made untrue
				v, amount := m.any(), rapid.Int64Range(0, 30).Draw(t, "amount")
				w := v.lease(m.rule).window.Load()
				units, _ := v.holds(w.epoch)
				left := m.rule.Capacity() - m.shared.counted(m.rule, m.clock.Now())
				if w.holds(m.rule) {
					left = max(0, left) // else units are given back first, and left of what was used too much
				}
				there := units + left
				result, taken, err := v.take(m.rule, amount)
				if want := atLeast(m.rule, amount) <= max(0, there) && amount <= m.rule.Capacity(); err != nil || result.Allowed != want {
					t.Fatalf("for %d of %d that are there: %+v, %v", amount, there, result, err)
				}
				synctest.Wait()
				if rapid.Bool().Draw(t, "return") {
					taken.Return()
				}
			},
			"many": func(t *rapid.T) {
				v := m.any()
				for range rapid.IntRange(1, 50).Draw(t, "times") {
					v.take(m.rule, 1)
					synctest.Wait()
				}
			},
			"charge": func(t *rapid.T) {
				if m.rule.Kind == limit.Budget {
					m.any().lease(m.rule).Charge(m.clock.Now(), rapid.Int64Range(1, 30).Draw(t, "amount"))
					synctest.Wait()
				}
			},
			"an edit": func(t *rapid.T) {
				if m.rule.Kind != limit.Tokens { // of which a bucket means another thing then
					m.edit(t)
				}
			},
			"time passes": func(t *rapid.T) {
				m.step(time.Duration(rapid.IntRange(1, 6000).Draw(t, "ms")) * time.Millisecond)
			},
		})
	})
}
