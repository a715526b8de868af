package leased

import (
	"context"
	"errors"
	"time"

	"github.com/claviger-dev/claviger/internal/limitstore"
)

// drawTimeout is how long a draw may take. Requests wait for no longer than they want to.
const drawTimeout = 500 * time.Millisecond

func composed(now time.Time, batch []*Lease, probe bool) (draws []limitstore.Draw, leases []*Lease) {
	for _, l := range batch {
		l.mu.Lock()
		draw, needed := l.compose(now, probe)
		l.mu.Unlock()
		if needed {
			draws, leases = append(draws, draw), append(leases, l)
		}
	}
	return draws, leases
}

var errAnswer = errors.New("it answered something else than was asked")

func (s *Store) draw(now time.Time, draws []limitstore.Draw) ([]limitstore.Grant, error) {
	ctx, cancel := context.WithTimeout(context.Background(), drawTimeout)
	defer cancel()
	grants, err := s.drawer.Draw(ctx, now, draws)
	if err == nil && len(grants) != len(draws) {
		err = errAnswer
	}
	return grants, err
}

// apply brings grants to their leases, and returns the leases that there is more to draw for.
func (s *Store) apply(leases []*Lease, draws []limitstore.Draw, grants []limitstore.Grant) (more []*Lease) {
	now := s.clock.Now() // what was granted may be over by now
	for i, l := range leases {
		s.count(&draws[i], &grants[i])
		l.mu.Lock()
		if l.apply(now, &draws[i], grants[i]) {
			more = append(more, l)
		}
		l.mu.Unlock()
	}
	return more
}

func (s *Store) count(draw *limitstore.Draw, grant *limitstore.Grant) {
	switch {
	case draw.Want == 0:
		s.metrics.told.Inc()
	case grant.Amount > 0:
		s.metrics.granted.Inc()
	default:
		s.metrics.refused.Inc()
	}
	if draw.Used < 0 {
		s.metrics.returned(draw.Rule, -draw.Used)
	}
}
