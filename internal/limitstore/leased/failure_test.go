package leased

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/utils/clock"

	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/limitstore"
)

func TestWithoutTheStoreWhatIsLeftIsUsedUpAndThenNobodyWaits(t *testing.T) {
	play(t, 1, func(t *testing.T, s *scene) {
		rule := quota(1000)
		s.allowed(s.verifier, rule, 1, 100)
		left := s.lease(rule).window.Load().left()
		s.shared.fail(before, 1000)
		for i := range left {
			if result, _, err := s.take(rule, 1); err != nil || !result.Allowed {
				t.Fatalf("%d of %d that are left: %+v, %v", i, left, result, err)
			}
			synctest.Wait()
		}
		release := s.shared.hold() // a draw would wait
		for range 10 {
			if _, _, err := s.take(rule, 1); !errors.Is(err, errBroken) {
				t.Fatalf("with nothing left the error is %v", err)
			}
		}
		release()
		s.clock.Step(longestPause)
		if _, _, err := s.take(rule, 1); !errors.Is(err, errBroken) {
			t.Fatalf("a store that still fails is told as %v", err)
		}
		synctest.Wait()
		s.shared.fail(none, 0)
		if _, _, err := s.take(rule, 1); !errors.Is(err, errBroken) {
			t.Fatalf("just after a failure the error is %v", err)
		}
		s.clock.Step(longestPause)
		if result, _, err := s.take(rule, 1); err != nil || !result.Allowed {
			t.Errorf("a store that answers again: %+v, %v", result, err)
		}
		s.pass(3)
		s.wantCounted(rule, 100+left+1)
	})
}

func TestAStoreThatHangsIsNotWaitedForTwice(t *testing.T) {
	play(t, 1, func(t *testing.T, s *scene) {
		release := s.shared.hold()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, _, err := s.lease(quota(9)).Take(ctx, s.clock.Now(), quota(9), 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a request that waited for long enough ends with %v", err)
		}
		time.Sleep(drawTimeout)
		synctest.Wait()
		asked := s.shared.asked()
		if _, _, err := s.take(quota(9), 1); !errors.Is(err, errBroken) || s.shared.asked() != asked {
			t.Errorf("the next ends with %v, after %d more draws", err, s.shared.asked()-asked)
		}
		release()
	})
}

func TestWhileItIsTriedWhetherTheStoreAnswersNobodyElseWaits(t *testing.T) {
	play(t, 1, func(t *testing.T, s *scene) {
		s.shared.fail(before, 1)
		_, _, _ = s.take(quota(9), 1)
		synctest.Wait()
		s.clock.Step(longestPause)
		release := s.shared.hold()
		first := make(chan limit.Result, 1)
		go func() {
			result, _, _ := s.take(quota(9), 1)
			first <- result
		}()
		synctest.Wait()
		other := counter
		other.Subject++
		if _, _, err := s.Lease(other, quota(9), nil).Take(t.Context(), s.clock.Now(), quota(9), 1); !errors.Is(err, errBroken) {
			t.Errorf("another request of the Workspace ends with %v", err)
		}
		release()
		if result := <-first; !result.Allowed {
			t.Errorf("the first to ask is answered %+v", result)
		}
	})
}

func TestAStoreThatFailsIsAskedEverMoreSeldom(t *testing.T) {
	play(t, 1, func(t *testing.T, s *scene) {
		s.shared.fail(before, 1000)
		for range 1000 {
			_, _, _ = s.take(quota(9), 1)
			synctest.Wait()
			s.clock.Step(10 * time.Millisecond)
		}
		if asked := s.shared.asked(); asked < 10 || asked > 16 {
			t.Errorf("it was asked %d times in 10 seconds", asked)
		}
	})
}

// A store that does what it is asked, and whose answers are lost, is the worst there is.
func TestWhatAFailureCostsItCostsOnce(t *testing.T) {
	play(t, 1, func(t *testing.T, s *scene) {
		rule := budget(100_000)
		s.allowed(s.verifier, rule, 0, 1)
		s.shared.fail(after, 1000)
		s.lease(rule).Charge(s.clock.Now(), 500)
		synctest.Wait()
		for range 100 {
			s.clock.Step(longestPause)
			_, _, _ = s.take(rule, 0)
			synctest.Wait()
			s.pass(1)
		}
		if counted := s.shared.counted(rule, s.clock.Now()); counted > 502 {
			t.Errorf("while the store fails 500 are counted as %d", counted)
		}
		s.shared.fail(none, 0)
		s.clock.Step(longestPause)
		s.pass(4)
		if _, debt := s.holds(s.lease(rule).window.Load().epoch); debt != 0 {
			t.Errorf("%d are owed though the store answers", debt)
		}
		if counted := s.shared.counted(rule, s.clock.Now()); counted < 999 || counted > 1002 {
			t.Errorf("500 are counted as %d, want twice", counted)
		}
	})
}

func TestDebtOutlivesAnOutage(t *testing.T) {
	play(t, 1, func(_ *testing.T, s *scene) {
		rule := budget(100_000)
		s.allowed(s.verifier, rule, 0, 1)
		s.shared.fail(before, 1000)
		s.lease(rule).Charge(s.clock.Now(), 500)
		s.pass(forgetAfter + 10)
		s.lease(rule).Charge(s.clock.Now(), 500)
		s.pass(forgetAfter + 10)
		s.shared.fail(none, 0)
		s.pass(5)
		s.wantCounted(rule, 1000)
	})
}

// inOutage leases something, and lets the store fail before it can be given back.
func (s *scene) inOutage(rule *limit.Rule) (held int64) {
	s.Helper()
	s.allowed(s.verifier, rule, 1, 100)
	s.pass(1)
	other := counter
	other.Subject++
	s.shared.fail(before, 1000)
	_, _, _ = s.Lease(other, rule, nil).Take(context.Background(), s.clock.Now(), rule, 1)
	synctest.Wait()
	if held = s.lease(rule).window.Load().left(); held < 10 {
		s.Fatalf("only %d are held", held)
	}
	return held
}

func (s *scene) outageEnds() {
	s.shared.fail(none, 0)
	s.clock.Step(longestPause)
}

func TestWhatIsToBeGivenBackPaysDebt(t *testing.T) {
	play(t, 1, func(t *testing.T, s *scene) {
		rule := budget(1000)
		s.inOutage(rule)
		for range 3 {
			s.sweep() // at once, while the store is left alone
		}
		s.lease(rule).Charge(s.clock.Now(), 5)
		s.outageEnds()
		if n := s.allowed(s.verifier, rule, 1000-105, 1); n != 1 {
			t.Error("what was left is refused")
		}
		s.wantCounted(rule, 1000)
	})
}

func TestWhatIsVoidPaysNoDebt(t *testing.T) {
	play(t, 1, func(_ *testing.T, s *scene) {
		rule := budget(1000)
		s.inOutage(rule)
		for range 3 {
			s.sweep()
		}
		s.clock.SetTime(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC))
		s.lease(rule).Charge(s.clock.Now(), 5)
		s.outageEnds()
		s.pass(3)
		s.wantCounted(rule, 5)
	})
}

func TestALeaseIsNotForgottenWhileItHasSomethingToGiveBack(t *testing.T) {
	play(t, 1, func(t *testing.T, s *scene) {
		rule := quota(1000)
		s.inOutage(rule)
		l := s.lease(rule)
		l.rest = forgetAfter
		s.sweep()
		if l.dead.Load() {
			t.Fatal("it is forgotten")
		}
		s.outageEnds()
		s.pass(2)
		s.wantCounted(rule, 100)
	})
}

func TestTheFailureOfOneWorkspaceIsForgottenOnceNobodyAsks(t *testing.T) {
	play(t, 1, func(t *testing.T, s *scene) {
		s.shared.fail(before, 1)
		_, _, _ = s.take(quota(9), 1)
		synctest.Wait()
		other := counter
		other.Tag = "another"
		if result, _, err := s.Lease(other, quota(9), nil).Take(t.Context(), s.clock.Now(), quota(9), 1); err != nil || !result.Allowed {
			t.Errorf("another Workspace is answered %+v, %v", result, err)
		}
		s.clock.Step(2 * forgetFailure)
		s.pass(1)
		if len(s.queues.byPlace) != 0 || s.queues.failing != 0 {
			t.Errorf("%d queues are kept, of which %d fail", len(s.queues.byPlace), s.queues.failing)
		}
	})
}

type liar struct {
	*shared
	lie func([]limitstore.Grant) []limitstore.Grant
}

func (l liar) Draw(ctx context.Context, now time.Time, draws []limitstore.Draw) ([]limitstore.Grant, error) {
	grants, err := l.shared.Draw(ctx, now, draws)
	return l.lie(grants), err
}

func TestNonsenseFromTheStoreDoesNoHarm(t *testing.T) {
	for name, test := range map[string]struct {
		lie     func([]limitstore.Grant) []limitstore.Grant
		err     error
		allowed bool
	}{
		"fewer answers": {func([]limitstore.Grant) []limitstore.Grant { return nil }, errAnswer, false},
		"spans of yesterday": {func(g []limitstore.Grant) []limitstore.Grant {
			g[0].Until = start.Add(-time.Hour)
			return g
		}, errOver, false},
		"more than was asked for": {func(g []limitstore.Grant) []limitstore.Grant {
			g[0].Amount = 1 << 62
			return g
		}, nil, true},
		"less than nothing": {func(g []limitstore.Grant) []limitstore.Grant {
			g[0].Amount, g[0].Left = -1, -1
			return g
		}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, 1, func(t *testing.T, s *scene) {
				v := newVerifier(t, s.clock, liar{s.shared, test.lie})
				result, _, err := v.take(perMinute(5), 1)
				if !errors.Is(err, test.err) || result.Allowed != test.allowed || result.Remaining < 0 || result.Remaining > 5 {
					t.Errorf("answered %+v, %v", result, err)
				}
				if n := v.lease(perMinute(5)).window.Load().left(); n < 0 || n > 5 {
					t.Errorf("%d are left", n)
				}
			})
		})
	}
}

// running starts a Store with Run by the bubble's clock.
func running(t *testing.T, drawer limitstore.Drawer, registry prometheus.Registerer) (s *Store, stop func()) {
	s, err := New(Options{Drawer: drawer, Clock: clock.RealClock{}, Log: logr.Discard(), Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	synctest.Wait()
	return s, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestRunSweepsAndInTheEndGivesBackEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, registry := newShared(2), prometheus.NewPedanticRegistry()
		s, stop := running(t, shared, registry)
		rule, known := quota(1000), new(limit.Bucket)
		take := func(amount int64) (limit.Result, Taken) {
			result, taken, err := s.Lease(counter, rule, known).Take(t.Context(), time.Now(), rule, amount)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return result, taken
		}
		want := func(want int64) {
			t.Helper()
			if got := shared.counted(rule, time.Now()); got != want {
				t.Errorf("%d are counted, want %d", got, want)
			}
		}
		for range 100 {
			take(1)
		}
		time.Sleep(2 * time.Second)
		want(100)
		for range 99 {
			take(1)
		}
		_, taken := take(1)
		if n, _ := testutil.GatherAndCount(registry, "claviger_lease_draws_total", "claviger_leases", "claviger_lease_units_returned_total"); n != 7 {
			t.Errorf("there are %d metrics", n)
		}
		if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
			t.Errorf("metrics: %v, %v", problems, err)
		}
		stop()
		want(200)
		taken.Return()
		synctest.Wait()
		want(199)
		for range 10 { // who comes late is served too, and leaves nothing behind
			if result, _ := take(1); !result.Allowed {
				t.Error("refused")
			}
		}
		want(209)
		_, late := take(1)
		late.Return()
		synctest.Wait()
		want(209)
		s.Lease(counter, rule, known).Charge(time.Now(), 3)
		synctest.Wait()
		want(212)
	})
}

func TestTheEndOfRunIsNotTheStoresToPutOff(t *testing.T) {
	for name, test := range map[string]struct {
		fails failure
		times int
		hang  bool
		most  time.Duration
		want  int64
	}{
		"it fails for a moment": {before, 3, false, time.Second, 100 + 500},
		"it fails":              {before, 1000, false, lastWords + time.Second, 0},
		"it hangs":              {none, 0, true, lastWords + time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shared := newShared(1)
				s, stop := running(t, shared, prometheus.NewRegistry())
				rule := budget(1000)
				if _, _, err := s.Lease(counter, rule, nil).Take(t.Context(), time.Now(), rule, 100); err != nil {
					t.Fatal(err)
				}
				shared.fail(test.fails, test.times)
				release := func() {}
				if test.hang {
					release = shared.hold()
				}
				s.Lease(counter, rule, nil).Charge(time.Now(), 500)
				began := time.Now() // of the bubble: nothing passes but what is waited for
				stop()
				if took := time.Since(began); took > test.most {
					t.Errorf("the end took %v", took)
				}
				if got := shared.counted(rule, time.Now()); test.want > 0 && got != test.want {
					t.Errorf("%d are counted, want %d", got, test.want)
				}
				release()
			})
		})
	}
}
