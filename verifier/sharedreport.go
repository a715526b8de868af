package verifier

import (
	"context"
	"time"

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/limitstore"
	"github.com/claviger-dev/claviger/internal/limitstore/local"
	"github.com/claviger-dev/claviger/internal/limitstore/valkey"
)

// charge counts what was known only after a request, in shadow or not.
func (s *shared) charge(ctx context.Context, entry *keyindex.Entry, r *Report, now time.Time) (again bool, err error) {
	var budgets []int
	var releases []valkey.Ask
	for i := range entry.Limits {
		switch entry.Limits[i].Kind {
		case limit.Concurrency:
			releases = append(releases, s.ask(entry, i))
		case limit.Budget:
			budgets = append(budgets, i)
		}
	}
	if len(budgets)+len(releases) == 0 {
		return false, nil
	}
	if !s.first(ctx, entry, r, now) {
		return true, nil
	}
	if len(releases) > 0 {
		if err := s.store.Release(ctx, now, releases, r.RequestID); err != nil {
			return false, err
		}
	}
	if r.SpendMicrocents == 0 {
		return false, nil
	}
	return false, s.spend(ctx, entry, budgets, r, now)
}

func (s *shared) spend(ctx context.Context, entry *keyindex.Entry, budgets []int, r *Report, now time.Time) error {
	var strict []valkey.Ask
	for _, i := range budgets {
		if entry.Limits[i].Strict {
			strict = append(strict, s.ask(entry, i))
		} else {
			s.leaseOf(entry, i).Charge(now, r.SpendMicrocents)
		}
	}
	if len(strict) == 0 {
		return nil
	}
	return s.store.Charge(ctx, now, strict, limit.Cost{Microcents: r.SpendMicrocents})
}

// onceRule is what makes of several reports of one request one, whichever verifiers they come to: a limit of
// one in the time in which they are known for the same.
var onceRule = &limit.Rule{Kind: limit.Span, Max: 1, Per: reportsWindow}

// first says whether no other verifier has heard of a request. While the server is away, this one's own memory has to do: a
// report that counts twice is better than one that does not count at all.
func (s *shared) first(ctx context.Context, entry *keyindex.Entry, r *Report, now time.Time) bool {
	asked := [1]valkey.Ask{{
		Counter: limitstore.Counter{
			Tag: entry.Class.WorkspaceID, Rule: "reported", Subject: uint64(local.SubjectOf("report", entry.Key.ID.String(), r.RequestID)),
		},
		Rule: onceRule, Known: &limit.Bucket{},
	}}
	results, err := s.store.Take(ctx, now, asked[:], limit.Cost{Requests: 1}, r.RequestID, nil)
	return err != nil || results[0].Allowed
}
