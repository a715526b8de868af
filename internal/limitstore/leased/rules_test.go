package leased

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-dev/claviger/internal/limit"
)

func TestALimitThatIsLoweredHoldsAtOnce(t *testing.T) {
	play(t, 1, func(t *testing.T, s *scene) {
		s.allowed(s.verifier, perMinute(1000), 1, 100)
		if held, _ := s.holds(s.lease(perMinute(1000)).window.Load().epoch); held < 20 {
			t.Fatalf("only %d are held", held)
		}
		lowered := perMinute(105)
		if n := s.allowed(s.verifier, lowered, 1, 50); n != 5 {
			t.Errorf("%d were allowed after 100 of 105", n)
		}
		raised := perMinute(120)
		if n := s.allowed(s.verifier, raised, 1, 50); n != 15 {
			t.Errorf("%d were allowed after 105 of 120", n)
		}
		s.wantCounted(raised, 120)
	})
}

func TestAnEditWhileADrawIsUnderWayReturnsWhatItBrings(t *testing.T) {
	play(t, 1, func(t *testing.T, s *scene) {
		s.allowed(s.verifier, perMinute(1000), 1, 100)
		release := s.shared.hold()
		before, after := make(chan limit.Result, 1), make(chan limit.Result, 1)
		take := func(rule *limit.Rule, amount int64, to chan limit.Result) {
			result, _, _ := s.take(rule, amount)
			to <- result
		}
		go take(perMinute(1000), 500, before)
		synctest.Wait()
		go take(perMinute(110), 8, after)
		synctest.Wait()
		release()
		if result := <-before; result.Allowed {
			t.Errorf("500 more were allowed by a limit of 110: %+v", result)
		}
		if result := <-after; !result.Allowed {
			t.Errorf("8 more after 100 of 110 were refused: %+v", result)
		}
		if n := s.allowed(s.verifier, perMinute(110), 1, 50); n != 2 {
			t.Errorf("%d more were allowed after 108 of 110", n)
		}
		s.wantCounted(perMinute(1000), 110)
	})
}

func TestABudgetAllowsWhileAnythingIsLeftAndIsChargedAfterwards(t *testing.T) {
	play(t, 2, func(t *testing.T, s *scene) {
		rule := budget(1000)
		for _, v := range s.verifiers {
			if n := s.allowed(v, rule, 0, 3); n != 3 {
				t.Fatalf("%d of 3 were allowed", n)
			}
		}
		s.lease(rule).Charge(s.clock.Now(), 600)
		synctest.Wait()
		if _, debt := s.holds(75); debt != 0 {
			t.Errorf("%d are owed after a draw", debt)
		}
		s.pass(3)
		s.wantCounted(rule, 600)
		s.lease(rule).Charge(s.clock.Now(), 399)
		if n := s.allowed(s.verifiers[1], rule, 0, 1); n != 1 {
			t.Error("nothing is allowed while one is left")
		}
		s.pass(3)
		s.lease(rule).Charge(s.clock.Now(), 5000)
		s.lease(rule).Charge(s.clock.Now(), -5000)
		s.pass(1)
		for _, v := range s.verifiers {
			if n := s.allowed(v, rule, 0, 1); n != 0 {
				t.Error("an overdrawn budget allows more")
			}
		}
		s.wantCounted(rule, 5999)
	})
}

func TestWhatIsLeftOfAnEndedPeriodIsVoid(t *testing.T) {
	play(t, 1, func(t *testing.T, s *scene) {
		s.clock.SetTime(time.Date(2026, 3, 31, 23, 59, 59, 0, time.UTC))
		rule := quota(1000)
		_, taken, _ := s.take(rule, 3)
		s.allowed(s.verifier, rule, 1, 97)
		s.clock.Step(time.Second)
		result := s.lease(rule).Look(s.clock.Now(), rule)
		if want := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC); result.Remaining != 1000 || !result.ResetAt.Equal(want) {
			t.Errorf("a new period is told as %+v", result)
		}
		if n := s.allowed(s.verifier, rule, 1, 900); n != 900 {
			t.Errorf("%d of 900 were allowed", n)
		}
		taken.Return() // it was of March
		s.pass(3)
		s.wantCounted(rule, 900)
	})
}

func TestAClockThatJumpsFreesNothing(t *testing.T) {
	play(t, 1, func(t *testing.T, s *scene) {
		rule := perMinute(100)
		s.allowed(s.verifier, rule, 1, 60)
		s.clock.Step(-time.Hour)
		if n := s.allowed(s.verifier, rule, 1, 100); n > 40 {
			t.Errorf("%d more of 100 were allowed after 60", n)
		}
		s.pass(3)
		s.clock.Step(24 * time.Hour)
		if n := s.allowed(s.verifier, rule, 1, 200); n != 100 {
			t.Errorf("%d were allowed in a new span of 100", n)
		}
		s.clock.Step(-48 * time.Hour)
		if n := s.allowed(s.verifier, rule, 1, 200); n != 0 {
			t.Errorf("%d more were allowed", n)
		}
	})
}

func TestTokensLapse(t *testing.T) {
	for sweeps := range 3 {
		play(t, 1, func(t *testing.T, s *scene) {
			rule := bursting(600, 600)
			s.allowed(s.verifier, rule, 1, 100)
			held := s.lease(rule).window.Load().left()
			s.pass(sweeps)
			s.clock.Step(time.Minute) // without a sweep: the process was stopped
			if n := s.allowed(s.verifier, rule, 1, 1000); n != 600 {
				t.Errorf("%d were allowed of a burst of 600, with %d of a minute ago", n, held)
			}
		})
	}
}

func TestALeaseFollowsTheDemandDown(t *testing.T) {
	play(t, 1, func(t *testing.T, s *scene) {
		rule := quota(100_000)
		s.allowed(s.verifier, rule, 1, 500)
		s.pass(12)
		s.wantCounted(rule, 500)
		s.allowed(s.verifier, rule, 1, 2)
		if w := s.lease(rule).window.Load(); w.left() > 2 {
			t.Errorf("%d are held for one request now and then", w.left())
		}
	})
}

func TestWhatIsLeftAfterARefusalIsUsedWithoutAsking(t *testing.T) {
	play(t, 1, func(t *testing.T, s *scene) {
		rule := quota(100)
		s.allowed(s.verifier, rule, 1, 50)
		if n := s.allowed(s.verifier, rule, 51, 1); n != 0 {
			t.Fatal("more than is left was allowed")
		}
		asked := s.shared.asked()
		if n := s.allowed(s.verifier, rule, 1, 60); n != 50 || s.shared.asked() != asked {
			t.Errorf("%d of 50 were allowed, with %d draws", n, s.shared.asked()-asked)
		}
	})
}
