package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// Of two values for the last use the newer one is kept, and of two months the later one, so
// that roll-ups may be added in any order. But a last use that is leapAfter ahead of the one
// to add was stamped by a clock that was wrong for a moment, and would otherwise stay until
// the world has caught up with it; of the month Changes takes care.
const upsertKey = `
INSERT INTO keys (key, workspace, seq, requests, denied, month, month_requests, month_denied, last_used_ms, remaining, reset_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    workspace      = excluded.workspace,
    seq            = excluded.seq,
    requests       = requests + excluded.requests,
    denied         = denied + excluded.denied,
    month          = max(month, excluded.month),
    month_requests = iif(month <= excluded.month, excluded.month_requests, 0) + iif(month >= excluded.month, month_requests, 0),
    month_denied   = iif(month <= excluded.month, excluded.month_denied, 0) + iif(month >= excluded.month, month_denied, 0),
    remaining      = iif(last_used_ms - excluded.last_used_ms BETWEEN 1 AND ?12, remaining, excluded.remaining),
    reset_ms       = iif(last_used_ms - excluded.last_used_ms BETWEEN 1 AND ?12, reset_ms, excluded.reset_ms),
    last_used_ms   = iif(last_used_ms - excluded.last_used_ms BETWEEN 1 AND ?12, last_used_ms, excluded.last_used_ms)
RETURNING id`

// leapAfter is more than roll-ups are ever out of order by: there is one recorder, and it
// adds them one after the other.
const leapAfter = time.Hour

const upsertHour = `
INSERT INTO hours (hour, key_id, code, count) VALUES (?, ?, ?, ?)
ON CONFLICT (hour, key_id, code) DO UPDATE SET count = count + excluded.count`

// Add adds a roll-up to what is stored, all of it or, with an error, nothing.
func (s *Store) Add(ctx context.Context, rollup *usage.Rollup) error {
	changes := group(rollup)
	return s.explain(s.transaction(ctx, func(tx *sql.Tx) error {
		var seq int64
		if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM keys").Scan(&seq); err != nil {
			return err
		}
		keys, err := tx.PrepareContext(ctx, upsertKey)
		if err != nil {
			return err
		}
		defer keys.Close() //nolint:errcheck // it goes with the transaction
		hours, err := tx.PrepareContext(ctx, upsertHour)
		if err != nil {
			return err
		}
		defer hours.Close() //nolint:errcheck // it goes with the transaction
		for i, c := range changes {
			if err := c.write(ctx, seq+1+int64(i), keys, hours); err != nil {
				return err
			}
		}
		return nil
	}))
}

// change is what a roll-up holds of one key.
type change struct {
	key   string
	last  usage.Last
	hours []hour
	total usagefeed.Counts
	month usagefeed.Period // the newest month in the roll-up
}

type hour struct {
	start time.Time
	code  string
	count int64
}

// group sorts a roll-up's lines by key, in an order that does not change from run to run.
func group(rollup *usage.Rollup) []*change {
	byKey := make(map[keyid.ID]*change, len(rollup.Last))
	for line, count := range rollup.Hours {
		c := byKey[line.Key]
		if c == nil {
			c = &change{key: line.Key.String(), last: rollup.Last[line.Key]}
			byKey[line.Key] = c
		}
		c.add(hour{start: line.Start, code: line.Code, count: count})
	}
	changes := make([]*change, 0, len(byKey))
	for _, c := range byKey {
		changes = append(changes, c)
	}
	slices.SortFunc(changes, func(a, b *change) int { return strings.Compare(a.key, b.key) })
	return changes
}

func (c *change) add(h hour) {
	c.hours = append(c.hours, h)
	count(&c.total, h)
	month := usagefeed.PeriodStart(h.start)
	if month.After(c.month.Start) {
		c.month = usagefeed.Period{Start: month}
	}
	if month.Equal(c.month.Start) {
		count(&c.month.Counts, h)
	}
}

func count(counts *usagefeed.Counts, h hour) {
	if h.code == policy.CodeValid.String() {
		counts.Requests += h.count
	} else {
		counts.Denied += h.count
	}
}

func (c *change) write(ctx context.Context, seq int64, keys, hours *sql.Stmt) error {
	var remaining, resetAt sql.NullInt64
	if c.last.Remaining != usage.NoLimit {
		remaining = sql.NullInt64{Int64: c.last.Remaining, Valid: true}
		resetAt = sql.NullInt64{Int64: c.last.ResetAt.UnixMilli(), Valid: !c.last.ResetAt.IsZero()}
	}
	var id int64
	err := keys.QueryRowContext(ctx, c.key, c.last.Workspace, seq, c.total.Requests, c.total.Denied,
		c.month.Start.Unix(), c.month.Requests, c.month.Denied,
		c.last.UsedAt.UnixMilli(), remaining, resetAt, leapAfter.Milliseconds()).Scan(&id)
	if err != nil {
		return err
	}
	for _, h := range c.hours {
		if _, err := hours.ExecContext(ctx, h.start.Unix(), id, h.code, h.count); err != nil {
			return err
		}
	}
	return nil
}
