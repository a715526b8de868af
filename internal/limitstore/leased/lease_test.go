package leased

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-dev/claviger/internal/limit"
)

func TestABusyLeaseIsDrawnForSeldomAndAheadOfNeed(t *testing.T) {
	play(t, 2, func(t *testing.T, s *scene) {
		rule := perMinute(100_000)
		if n := s.allowed(s.verifier, rule, 1, 1); n != 1 || s.shared.asked() != 1 {
			t.Fatalf("%d were allowed after %d draws", n, s.shared.asked())
		}
		for range 10 {
			if n := s.allowed(s.verifier, rule, 1, 500); n != 500 {
				t.Fatalf("%d of 500 were allowed", n)
			}
			s.pass(1)
		}
		if asked := s.shared.asked(); asked > 40 {
			t.Errorf("5000 requests took %d draws", asked)
		}
		if w := s.lease(rule).window.Load(); w.left() == 0 || w.left() > 2000 {
			t.Errorf("%d are held of a demand of 1000 a second", w.left())
		}
	})
}

func TestHardlyAnybodyWaitsForALeaseThatIsInUse(t *testing.T) {
	play(t, 1, func(t *testing.T, s *scene) {
		rule, waited := quota(1_000_000), 0
		for range 2000 {
			if s.lease(rule).window.Load().left() == 0 {
				waited++
			}
			s.allowed(s.verifier, rule, 1, 1)
		}
		if waited > 3 || s.shared.asked() > 12 {
			t.Errorf("of 2000 requests %d waited, for %d draws", waited, s.shared.asked())
		}
	})
}

func TestALeaseIsAShareOfWhatIsLeft(t *testing.T) {
	play(t, 5, func(t *testing.T, s *scene) {
		rule := perMinute(1000)
		for taken := int64(1); taken <= 1000; taken++ {
			if n := s.allowed(s.verifier, rule, 1, 1); n != 1 {
				t.Fatalf("the request after %d was refused", taken-1)
			}
			w := s.lease(rule).window.Load()
			if most := max(1, (1000-taken)/10); w.left() > most {
				t.Fatalf("after %d a lease of %d is held, want at most %d", taken, w.left(), most)
			}
		}
		if n := s.allowed(s.verifier, rule, 1, 1); n != 0 {
			t.Error("one more than the limit was allowed")
		}
	})
}

func TestARefusalTellsTheTruthAndIsRememberedForAMoment(t *testing.T) {
	play(t, 1, func(t *testing.T, s *scene) {
		rule := perMinute(3)
		s.allowed(s.verifier, rule, 1, 3)
		s.clock.Step(10 * time.Second)
		result, _, _ := s.take(rule, 1)
		if want := (limit.Result{Limit: 3, ResetAt: start.Add(time.Minute), RetryAfter: 50 * time.Second}); result != want {
			t.Errorf("refused with %+v, want %+v", result, want)
		}
		asked := s.shared.asked()
		for range 49 {
			s.allowed(s.verifier, rule, 1, 20)
			s.clock.Step(time.Millisecond)
		}
		if more := s.shared.asked() - asked; more > 0 {
			t.Errorf("a client that hammers costs %d draws within %v", more, longestRefusal)
		}
		s.clock.Step(time.Millisecond)
		s.allowed(s.verifier, rule, 1, 20)
		if more := s.shared.asked() - asked; more != 1 {
			t.Errorf("after %v it is asked %d times, want once", longestRefusal, more)
		}
		s.clock.Step(50 * time.Second)
		if n := s.allowed(s.verifier, rule, 1, 5); n != 3 {
			t.Errorf("%d were allowed in the next span, want 3", n)
		}
	})
}

func TestWhatIsAnsweredIsWhatTheLimitWouldAnswer(t *testing.T) {
	for name, rule := range map[string]*limit.Rule{
		"a span": perMinute(20), "tokens": bursting(60, 20), "a quota": quota(20), "a budget": budget(20),
	} {
		t.Run(name, func(t *testing.T) {
			play(t, 1, func(t *testing.T, s *scene) {
				var b limit.Bucket
				for i, amount := range []int64{0, 1, 3, 0, 21, -1, 5, 8, 4, 3, 0, 1} {
					want := rule.Take(&b, s.clock.Now(), amount)
					result, _, err := s.take(rule, amount)
					if err != nil {
						t.Fatal(err)
					}
					want.RetryAfter = max(want.RetryAfter, result.RetryAfter.Truncate(time.Millisecond)) // at least 1ms
					if result.ResetAt.Sub(want.ResetAt).Abs() < time.Second*20 {
						result.ResetAt = want.ResetAt // what is leased counts as used
					}
					if result != want {
						t.Errorf("request %d for %d is answered %+v, want %+v", i, amount, result, want)
					}
					if look, want := s.lease(rule).Look(s.clock.Now(), rule).Remaining, rule.Look(&b, s.clock.Now()).Remaining; look != want {
						t.Errorf("request %d leaves %d by Look, want %d", i, look, want)
					}
					synctest.Wait()
				}
			})
		})
	}
}

func TestWhatLiesUnusedIsBackWithinASecondAndAHalf(t *testing.T) {
	for name, rule := range map[string]*limit.Rule{
		"a span": {Kind: limit.Span, Max: 1000, Per: time.Hour}, "a quota": quota(1000), "a budget": budget(1000),
		"tokens": {Kind: limit.Tokens, Max: 1000, Burst: 1000, Per: 10_000 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, 2, func(t *testing.T, s *scene) {
				for _, v := range s.verifiers {
					s.allowed(v, rule, 1, 50)
				}
				if held := s.shared.counted(rule, s.clock.Now()) - 100; held == 0 {
					t.Fatal("nothing was leased")
				}
				held := s.shared.counted(rule, s.clock.Now())
				s.pass(2)
				s.wantCounted(rule, held)
				s.pass(1)
				s.wantCounted(rule, 100)
				for _, v := range s.verifiers {
					s.allowed(v, rule, 1, 50)
				}
				s.pass(3)
				s.wantCounted(rule, 200)
			})
		})
	}
}

func TestARefusalIsForgottenOnceThereIsSomething(t *testing.T) {
	play(t, 2, func(t *testing.T, s *scene) {
		rule, other := budget(1000), s.verifiers[1]
		s.allowed(other, rule, 1, 20)
		if n := s.allowed(s.verifier, rule, 1000-s.shared.counted(rule, s.clock.Now()), 1); n != 1 {
			t.Fatal("what was left is refused")
		}
		if n := s.allowed(s.verifier, rule, 1, 1); n != 0 {
			t.Fatal("more than was left is allowed")
		}
		other.settle() // gives back
		synctest.Wait()
		if n := s.allowed(s.verifier, rule, 1, 1); n != 0 {
			t.Fatal("a refusal was not remembered")
		}
		s.lease(rule).Charge(s.clock.Now(), 1)
		synctest.Wait()
		if n := s.allowed(s.verifier, rule, 1, 1); n != 1 {
			t.Error("a refusal is remembered though it is known that something is left")
		}
	})
}

func TestALeaseThatWasNotUsedForLongIsForgotten(t *testing.T) {
	play(t, 1, func(t *testing.T, s *scene) {
		rule := quota(1000)
		s.allowed(s.verifier, rule, 1, 10)
		l := s.lease(rule)
		_, taken, _ := s.take(rule, 1)
		s.pass(forgetAfter + 10)
		if s.live.Load() != 0 || !l.dead.Load() {
			t.Fatalf("%d leases are kept", s.live.Load())
		}
		s.wantCounted(rule, 11)
		// Requests that began before go on with the lease that they have.
		taken.Return()
		synctest.Wait()
		s.wantCounted(rule, 10)
		s.shared.fail(before, 2)
		l.Charge(s.clock.Now(), 5)
		synctest.Wait()
		s.pass(4)
		s.wantCounted(rule, 15)
		if result, _, err := l.Take(t.Context(), s.clock.Now(), rule, 2); err != nil || !result.Allowed {
			t.Errorf("a dead lease answers %+v, %v", result, err)
		}
		if w := l.window.Load(); w.left() != 0 {
			t.Errorf("%d lie in a dead lease", w.left())
		}
		if s.live.Load() != 1 || s.lease(rule) == l {
			t.Error("there is no new lease in the place of the dead one")
		}
		s.pass(3)
		s.wantCounted(rule, 17)
	})
}

func TestManyLeasesAreFoundAndForgotten(t *testing.T) {
	play(t, 1, func(t *testing.T, s *scene) {
		rule := quota(10)
		for round := range 3 {
			for subject := range uint64(500) {
				c := counter
				c.Subject = subject + uint64(round)*200
				l := s.Lease(c, rule, nil)
				if _, _, err := l.Take(t.Context(), s.clock.Now(), rule, 1); err != nil {
					t.Fatal(err)
				}
				if s.Lease(c, rule, nil) != l {
					t.Fatal("a counter has two leases")
				}
			}
			if s.live.Load() != 500 {
				t.Fatalf("there are %d leases", s.live.Load())
			}
			s.pass(forgetAfter + 2)
			if s.live.Load() != 0 {
				t.Fatalf("%d leases are kept", s.live.Load())
			}
		}
		if size := len(s.table.Load().slots); size > 2000 {
			t.Errorf("the table has grown to %d slots", size)
		}
	})
}
