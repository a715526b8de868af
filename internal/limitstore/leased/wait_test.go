package leased

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/claviger-dev/claviger/internal/limit"
)

func TestARequestWaitsNoLongerThanItMay(t *testing.T) {
	play(t, 1, func(t *testing.T, s *scene) {
		release := s.shared.hold()
		ctx, cancel := context.WithCancel(t.Context())
		answered := make(chan error, 1)
		go func() {
			_, _, err := s.lease(quota(10)).Take(ctx, s.clock.Now(), quota(10), 1)
			answered <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-answered; !errors.Is(err, context.Canceled) {
			t.Errorf("a request that may not wait ends with %v", err)
		}
		release()
		synctest.Wait()
		if n := s.shared.asked(); n != 1 {
			t.Errorf("%d draws", n)
		}
		if n := s.allowed(s.verifier, quota(10), 1, 1); n != 1 || s.shared.asked() != 1 {
			t.Error("what came too late for one request is not there for the next")
		}
	})
}

func TestRequestsThatWaitShareADraw(t *testing.T) {
	play(t, 1, func(t *testing.T, s *scene) {
		release := s.shared.hold()
		results := make(chan limit.Result, 100)
		for range 100 {
			go func() {
				result, _, _ := s.take(quota(60), 1)
				results <- result
			}()
		}
		synctest.Wait()
		release()
		n := 0
		for range 100 {
			if (<-results).Allowed {
				n++
			}
		}
		if n != 60 {
			t.Errorf("%d were allowed of a quota of 60", n)
		}
		// The first draw began when only the first request was there.
		if asked := s.shared.asked(); asked > 3 {
			t.Errorf("100 requests took %d draws", asked)
		}
	})
}
