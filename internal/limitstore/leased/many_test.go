package leased

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	testingclock "k8s.io/utils/clock/testing"

	"github.com/claviger-dev/claviger/internal/limit"
)

func TestThreeVerifiersAdmitJustWhatTheLimitAllows(t *testing.T) {
	for name, rule := range map[string]*limit.Rule{"a span": perMinute(1000), "a quota": quota(1000), "a budget": budget(1000)} {
		t.Run(name, func(t *testing.T) {
			play(t, 3, func(t *testing.T, s *scene) {
				admitted, one := make([]int, 3), 0
				saturate := func() (n int) {
					for range 500 {
						for i, v := range s.verifiers {
							one = s.allowed(v, rule, 1, 1)
							admitted[i] += one
							n += one
						}
					}
					return n
				}
				n := saturate()
				if n > 1000 || n < 990 {
					t.Errorf("%d were admitted of 1000", n)
				}
				s.pass(3)
				if n += saturate(); n != 1000 {
					t.Errorf("%d were admitted in the end of 1000", n)
				}
				for i, n := range admitted {
					if n < 250 {
						t.Errorf("verifier %d admitted %d of 1000", i, n)
					}
				}
			})
		})
	}
}

func TestAnIdleVerifierKeepsNothingFromABusyOne(t *testing.T) {
	play(t, 3, func(t *testing.T, s *scene) {
		rule := quota(1000)
		n := 0
		for _, v := range s.verifiers[1:] {
			n += s.allowed(v, rule, 1, 50)
		}
		for range 10 {
			n += s.allowed(s.verifier, rule, 1, 200)
			s.pass(1)
		}
		if n != 1000 {
			t.Errorf("%d were admitted of 1000", n)
		}
	})
}

// hammer lets goroutines at some verifiers until each has asked so often.
func hammer(vs []*verifier, rule *limit.Rule, goroutines, times int) (allowed, refused, failed int64) {
	var (
		workers sync.WaitGroup
		counts  [3]atomic.Int64
	)
	for i := range goroutines {
		v := vs[i%len(vs)]
		workers.Go(func() {
			for j := range times {
				amount := int64(1 + (i+j)%3)
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
				result, taken, err := v.lease(rule).Take(ctx, v.clock.Now(), rule, amount)
				cancel()
				switch {
				case err != nil:
					counts[2].Add(1)
				case !result.Allowed:
					counts[1].Add(1)
				case j%7 == 0:
					taken.Return()
				default:
					counts[0].Add(amount)
				}
				if result.Remaining < 0 || result.Remaining > result.Limit {
					panic("remaining is out of bounds")
				}
			}
		})
	}
	workers.Wait()
	return counts[0].Load(), counts[1].Load(), counts[2].Load()
}

func TestManyAtOnceAdmitNoMoreThanTheLimit(t *testing.T) {
	for name, broken := range map[string]failure{"while all is well": none, "while draws get lost": before, "while answers get lost": after} {
		t.Run(name, func(t *testing.T) {
			clock, shared := testingclock.NewFakeClock(start), newShared(3)
			vs := []*verifier{newVerifier(t, clock, shared), newVerifier(t, clock, shared), newVerifier(t, clock, shared)}
			rule := quota(20_000)
			ctx, end := context.WithCancel(t.Context())
			var others sync.WaitGroup
			others.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					clock.Step(20 * time.Millisecond)
					if n%10 == 0 {
						shared.fail(broken, 3)
					}
					for _, v := range vs {
						v.sweep()
						v.lease(rule).Look(clock.Now(), rule)
					}
					time.Sleep(100 * time.Microsecond)
				}
			})
			allowed, refused, failed := hammer(vs, rule, 12, 3000)
			end()
			others.Wait()
			shared.fail(none, 0)
			for range 6 {
				clock.Step(longestPause)
				for _, v := range vs {
					v.sweep()
					<-v.queues.rest()
				}
			}
			epoch, _ := epochOf(rule, shared.bucket(counter), clock.Now())
			lost := shared.lost[epoch] + shared.lost[0]
			if counted := shared.counted(rule, clock.Now()); counted != allowed+lost || allowed > 20_000 {
				t.Errorf("%d were admitted, %d are counted and %d lost", allowed, counted, lost)
			}
			t.Logf("%d allowed, %d refused, %d failed, %d lost, %d draws", allowed, refused, failed, lost, shared.asked())
		})
	}
}

// A small table and leases that die while they are in use.
func TestLeasesDieInUseWithoutLoss(t *testing.T) {
	clock, shared := testingclock.NewFakeClock(start), newShared(1)
	v := newVerifier(t, clock, shared)
	rule := quota(1_000_000)
	ctx, end := context.WithCancel(t.Context())
	var others sync.WaitGroup
	others.Go(func() {
		for ctx.Err() == nil {
			v.table.Load().each(func(l *Lease) {
				l.mu.Lock()
				l.rest = forgetAfter
				l.mu.Unlock()
			})
			v.sweep()
		}
	})
	allowed, refused, failed := hammer([]*verifier{v}, rule, 8, 5000)
	var charged atomic.Int64
	for range 8 {
		others.Go(func() {
			for range 1000 {
				v.lease(rule).Charge(clock.Now(), 2)
				charged.Add(2)
			}
		})
	}
	end()
	others.Wait()
	for range 4 {
		v.sweep()
		<-v.queues.rest()
	}
	if counted := shared.counted(rule, clock.Now()); refused > 0 || counted != allowed+charged.Load() {
		t.Errorf("%d were admitted, %d refused, %d failed, %d charged; %d are counted", allowed, refused, failed, charged.Load(), counted)
	}
}

func TestNoGoroutineIsLeft(t *testing.T) {
	play(t, 1, func(t *testing.T, s *scene) { // which ends only if none is
		s.shared.fail(before, 5)
		for range 20 {
			_, _, _ = s.take(quota(100), 1)
			s.clock.Step(100 * time.Millisecond)
			s.lease(quota(100)).Charge(s.clock.Now(), 1)
			s.sweep()
		}
		synctest.Wait()
		if s.queues.running != 0 {
			t.Errorf("%d queues are running", s.queues.running)
		}
	})
}
