package sqlite

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

var numbers atomic.Int64

// batchOf is the next batch of a writer that all tests share.
func batchOf(rollup *usage.Rollup) *usage.Batch {
	b := usage.NewBatch("test", numbers.Add(1))
	b.Rollup = rollup
	return b
}

func addRollup(store *Store, rollup *usage.Rollup) error {
	return store.Add(context.Background(), batchOf(rollup))
}

func put(rollup *usage.Rollup, e usage.Event) { rollup.Add(&e) }

// monthOf is the billing period of a workspace that decides nothing about it.
func monthOf(now time.Time) func(string) (start, end time.Time) {
	start := usagefeed.PeriodStart(now)
	return func(string) (time.Time, time.Time) { return start, start.AddDate(0, 1, 0) }
}

func readChanges(store *Store, after int64, now time.Time) (usagefeed.Page, error) {
	return store.Changes(context.Background(), after, now, monthOf(now))
}

func event(key string, at time.Time, code string) usage.Event {
	e := usage.Event{
		Key: keyid.Derive(key), Attribution: usage.Attribution{Workspace: "team/shop"}, At: at, PeriodStart: usagefeed.PeriodStart(at),
		Remaining: usage.NoLimit, BudgetRemaining: usage.NoLimit,
	}
	if code != "VALID" {
		e.Details = usage.Details{Status: usage.Denied, Error: code}
	}
	return e
}

// keepsAll has nothing against a line of the log.
func keepsAll(string) (time.Duration, bool) { return 0, false }
