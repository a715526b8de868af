package leased

import (
	"testing"
	"testing/synctest"

	testingclock "k8s.io/utils/clock/testing"

	"github.com/claviger-dev/claviger/internal/limit"
)

// scene is some verifiers on one shared counter.
type scene struct {
	*testing.T
	clock     *testingclock.FakeClock
	shared    *shared
	verifiers []*verifier
	*verifier // the first
}

func play(t *testing.T, verifiers int, act func(*testing.T, *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &scene{T: t, clock: testingclock.NewFakeClock(start), shared: newShared(verifiers)}
		for range verifiers {
			s.verifiers = append(s.verifiers, newVerifier(t, s.clock, s.shared))
		}
		s.verifier = s.verifiers[0]
		act(t, s)
	})
}

// allowed takes some times, and tells how often it was allowed.
func (s *scene) allowed(v *verifier, rule *limit.Rule, amount int64, times int) (n int) {
	s.Helper()
	for range times {
		result, _, err := v.take(rule, amount)
		if err != nil {
			s.Fatal(err)
		}
		if result.Allowed {
			n++
		}
		synctest.Wait()
	}
	return n
}

// pass lets sweeps pass in which nothing is used.
func (s *scene) pass(sweeps int) {
	for range sweeps {
		s.clock.Step(sweepEvery)
		for _, v := range s.verifiers {
			v.sweep()
		}
		synctest.Wait()
	}
}

func (s *scene) wantCounted(rule *limit.Rule, want int64) {
	s.Helper()
	if got := s.shared.counted(rule, s.clock.Now()); got != want {
		s.Errorf("the shared counter has counted %d, want %d", got, want)
	}
}
