// Package usagestore says what a store of usage does, whichever it is: sqlite for one verifier, postgres for
// several. Package storetest holds each to it.
package usagestore

import (
	"context"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// Store keeps usage. Its methods are safe for concurrent use.
type Store interface {
	Writer
	Feed
	Reader
	// Lapse ends refusals that are over, and has the feed tell so of their keys and limits. It returns how many
	// there were.
	Lapse(ctx context.Context, now time.Time, holds Holds) (int, error)
	// Expire drops what is past keeping, in pieces that hold up no writer for long. Lines of the log
	// also go where their workspace keeps them for less long than when they were written.
	Expire(ctx context.Context, now time.Time, keep Keep) error
	Close() error
}

// Holds says whether a KeyLimit, by its UID, holds for a key now and is enforced. Where that is not known
// it does.
type Holds func(key keyid.ID, limit string) bool

// Keep says for how long a workspace keeps lines of its request log now; not known where there is no such workspace (any
// more): then lines are kept for as long as was said when they were written.
type Keep func(workspace string) (keep time.Duration, known bool)

// Writer takes in what was counted.
type Writer interface {
	// Add stores a batch, all of it or, with an error, nothing, or perhaps all of it: then Stored tells.
	// What of it was stored before is not stored again.
	Add(context.Context, *usage.Batch) error
	// Stored is the number of the last batch of a writer that was stored; 0: none was.
	Stored(ctx context.Context, writer string) (int64, error)
}

// PeriodOf is the billing period of a workspace that now lies in.
type PeriodOf func(workspace string) (start, end time.Time)

// Feed is what the operator reads, a page after the other: whatever changed after a number, the earliest
// change first.
type Feed interface {
	Changes(ctx context.Context, after int64, now time.Time, period PeriodOf) (usagefeed.Page, error)
	// Groups are sums of keys, deleted ones among them: of Workspaces and of ServiceAccounts.
	Groups(ctx context.Context, after int64, now time.Time, period PeriodOf) (usagefeed.GroupPage, error)
	Limits(ctx context.Context, after int64, now time.Time) (usagefeed.LimitPage, error)
}

// Reader answers questions about usage.
type Reader interface {
	// Sum sums up what a Query selects, out of the roll-ups, one Row for each combination of what it
	// is told apart by, in no certain order.
	Sum(context.Context, *Query) ([]Row, error)
	// Log is a page of the request log, the newest line first.
	Log(context.Context, *LogQuery) (LogPage, error)
	// EachLine hands over the lines of the log that a Filter selects in [from, to), until one is not taken; that error
	// is returned. By and large the oldest come first: those that were stored together are in no certain order, as
	// sorting all of them would need room for all of them.
	EachLine(ctx context.Context, from, to time.Time, f *Filter, take func(*Line) error) error
	// Owner is the workspace of a key, of which there may be nothing left but its usage.
	Owner(ctx context.Context, key keyid.ID) (workspace string, found bool, err error)
}
