package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/claviger-dev/claviger/internal/usage"
)

// Of two values for the last use the newer one is kept, and of two months the later one, so
// that roll-ups may be added in any order. But a last use that is leapAfter ahead of the one
// to add was stamped by a clock that was wrong for a moment, and would otherwise stay until
// the world has caught up with it; of the month Changes takes care.
const upsertKey = `
INSERT INTO keys (key, workspace, seq, requests, denied, month, month_requests, month_denied, last_used_ms,
    remaining, reset_ms, budget_remaining, budget_reset_ms, passed_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    workspace      = excluded.workspace,
    seq            = excluded.seq,
    requests       = requests + excluded.requests,
    denied         = denied + excluded.denied,
    month          = max(month, excluded.month),
    month_requests = iif(month <= excluded.month, excluded.month_requests, 0) + iif(month >= excluded.month, month_requests, 0),
    month_denied   = iif(month <= excluded.month, excluded.month_denied, 0) + iif(month >= excluded.month, month_denied, 0),
    remaining      = iif(last_used_ms - excluded.last_used_ms BETWEEN 1 AND ?15, remaining, excluded.remaining),
    reset_ms       = iif(last_used_ms - excluded.last_used_ms BETWEEN 1 AND ?15, reset_ms, excluded.reset_ms),
    budget_remaining = iif(last_used_ms - excluded.last_used_ms BETWEEN 1 AND ?15, budget_remaining, excluded.budget_remaining),
    budget_reset_ms  = iif(last_used_ms - excluded.last_used_ms BETWEEN 1 AND ?15, budget_reset_ms, excluded.budget_reset_ms),
    passed_ms      = iif(passed_ms - excluded.last_used_ms > ?15, excluded.passed_ms,
        coalesce(max(passed_ms, excluded.passed_ms), passed_ms, excluded.passed_ms)),
    last_used_ms   = iif(last_used_ms - excluded.last_used_ms BETWEEN 1 AND ?15, last_used_ms, excluded.last_used_ms)
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
		w, err := newAddition(ctx, tx)
		if err != nil {
			return err
		}
		limits, err := addLimits(ctx, tx, rollup)
		if err != nil {
			return err
		}
		for _, c := range changes {
			if err := w.add(ctx, c, limits); err != nil {
				return err
			}
		}
		return nil
	}))
}

// addition is a transaction that adds keys. Its statements end with it.
type addition struct {
	seq                  int64 // the newest
	key, hour, refusalOf *sql.Stmt
	generation           *sql.Stmt
}

func newAddition(ctx context.Context, tx *sql.Tx) (*addition, error) {
	a := &addition{}
	if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM keys").Scan(&a.seq); err != nil {
		return nil, err
	}
	for statement, text := range map[**sql.Stmt]string{
		&a.key: upsertKey, &a.hour: upsertHour, &a.refusalOf: upsertRefusal, &a.generation: upsertGeneration,
	} {
		var err error
		if *statement, err = tx.PrepareContext(ctx, text); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// add writes what changed of one key; limits are the rows of its limits by their UIDs.
func (a *addition) add(ctx context.Context, c *change, limits map[string]int64) error {
	a.seq++
	remaining, resetAt := left(c.last.Remaining, c.last.ResetAt)
	budget, budgetResetAt := left(c.last.BudgetRemaining, c.last.BudgetResetAt)
	var id int64
	err := a.key.QueryRowContext(ctx, c.key, c.last.Workspace, a.seq, c.total.Requests, c.total.Denied,
		c.month.Start.Unix(), c.month.Requests, c.month.Denied, c.last.UsedAt.UnixMilli(),
		remaining, resetAt, budget, budgetResetAt, millis(c.last.PassedAt), leapAfter.Milliseconds()).Scan(&id)
	if err != nil {
		return err
	}
	if err := a.used(ctx, id, &c.last.Generations); err != nil {
		return err
	}
	for _, h := range c.hours {
		if _, err := a.hour.ExecContext(ctx, h.start.Unix(), id, h.code, h.count); err != nil {
			return err
		}
	}
	for _, r := range c.refusals {
		if err := a.refuse(ctx, id, limits[r.limit], &r.Refused); err != nil {
			return err
		}
	}
	return nil
}

// left is what was left of a limit and when it is whole again; NULL where there is no limit.
func left(remaining int64, resetAt time.Time) (amount, ms sql.NullInt64) {
	if remaining == usage.NoLimit {
		return amount, ms
	}
	return sql.NullInt64{Int64: remaining, Valid: true}, millis(resetAt)
}

// millis is NULL for the zero time.
func millis(at time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: at.UnixMilli(), Valid: !at.IsZero()}
}
