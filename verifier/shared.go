package verifier

import (
	"context"
	"time"

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/limit"
)

// shared counts limits together with other verifiers.
type shared struct{}

func (s *shared) take(ctx context.Context, entry *keyindex.Entry, now time.Time, cost limit.Cost, id string, results []limit.Result) ([]limit.Result, error) {
	return results, nil
}

func (s *shared) charge(ctx context.Context, entry *keyindex.Entry, r *Report, now time.Time) error {
	return nil
}

func (s *shared) look(entry *keyindex.Entry, i int, now time.Time) limit.Result {
	return limit.Result{}
}
