package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagestore/grouping"
)

// addSums adds what was counted to what a row has. Of two billing periods the later one is kept, so that
// roll-ups may be added in any order. Where something of the new period was counted under another one before, because
// the workspace's periods were changed, the row does not know its sum, and says so with a start of zero.
const addSums = `
    seq              = excluded.seq,
    requests         = requests + excluded.requests,
    denied           = denied + excluded.denied,
    succeeded        = succeeded + excluded.succeeded,
    failed           = failed + excluded.failed,
    spend_microcents = min(spend_microcents + excluded.spend_microcents, ` + grouping.MaxSum + `),
    period_requests  = iif(period_start <= excluded.period_start, excluded.period_requests, 0) + iif(period_start >= excluded.period_start, period_requests, 0),
    period_denied    = iif(period_start <= excluded.period_start, excluded.period_denied, 0) + iif(period_start >= excluded.period_start, period_denied, 0),
    period_succeeded = iif(period_start <= excluded.period_start, excluded.period_succeeded, 0) + iif(period_start >= excluded.period_start, period_succeeded, 0),
    period_failed    = iif(period_start <= excluded.period_start, excluded.period_failed, 0) + iif(period_start >= excluded.period_start, period_failed, 0),
    period_spend_microcents = min(iif(period_start <= excluded.period_start, excluded.period_spend_microcents, 0) +
        iif(period_start >= excluded.period_start, period_spend_microcents, 0), ` + grouping.MaxSum + `),
    period_start     = CASE
        WHEN excluded.period_start > period_start THEN iif(newest_hour >= excluded.period_start, 0, excluded.period_start)
        WHEN excluded.period_start < period_start THEN iif(excluded.newest_hour >= period_start, 0, period_start)
        ELSE period_start END,
    newest_hour      = max(newest_hour, excluded.newest_hour)`

// The columns of addSums.
const sumColumns = `seq, requests, denied, succeeded, failed, spend_microcents, period_start, period_requests, period_denied,
    period_succeeded, period_failed, period_spend_microcents, newest_hour`

func sumsOf(seq int64, s *grouping.Sums) []any {
	t, p := &s.Total, &s.Period
	return []any{
		seq, t.Requests, t.Denied, t.Succeeded, t.Failed, t.SpendMicrocents,
		s.PeriodStart.Unix(), p.Requests, p.Denied, p.Succeeded, p.Failed, p.SpendMicrocents, s.Newest,
	}
}

// Of two values for the last use the newer one is kept. But a last use that is leapAfter ahead of the one
// to add was stamped by a clock that was wrong for a moment, and would otherwise stay until
// the world has caught up with it; of the period the feed takes care. An outcome is no use.
const (
	keepsLast = `(excluded.last_used_ms = 0 OR last_used_ms - excluded.last_used_ms BETWEEN 1 AND ` + leapMillis + `)`

	insertKeys = `INSERT INTO keys (` + sumColumns + `, key, workspace, service_account, last_used_ms, remaining, reset_ms, budget_remaining, budget_reset_ms, passed_ms) VALUES `
	keyWidth   = 22
	addKeySums = `
ON CONFLICT (key) DO UPDATE SET ` + addSums + `,
    workspace        = excluded.workspace,
    service_account  = excluded.service_account,
    remaining        = iif(` + keepsLast + `, remaining, excluded.remaining),
    reset_ms         = iif(` + keepsLast + `, reset_ms, excluded.reset_ms),
    budget_remaining = iif(` + keepsLast + `, budget_remaining, excluded.budget_remaining),
    budget_reset_ms  = iif(` + keepsLast + `, budget_reset_ms, excluded.budget_reset_ms),
    passed_ms        = iif(excluded.last_used_ms > 0 AND passed_ms - excluded.last_used_ms > ` + leapMillis + `, excluded.passed_ms,
        coalesce(max(passed_ms, excluded.passed_ms), passed_ms, excluded.passed_ms)),
    last_used_ms     = iif(` + keepsLast + `, last_used_ms, excluded.last_used_ms)`

	// insertKey makes the row of a key with nothing counted, where there is none.
	insertKey = `
INSERT INTO keys (key, workspace, seq, requests, denied, period_start, period_requests, period_denied, last_used_ms)
VALUES (?, ?, (SELECT coalesce(max(seq), 0) + 1 FROM keys), 0, 0, 0, 0, 0, 0)
ON CONFLICT (key) DO UPDATE SET key = key RETURNING id`

	insertGroups = `INSERT INTO usage_groups (` + sumColumns + `, kind, name, last_used_ms) VALUES `
	groupWidth   = 16
	addGroupSums = `
ON CONFLICT (kind, name) DO UPDATE SET ` + addSums + `,
    last_used_ms = iif(` + keepsLast + `, last_used_ms, excluded.last_used_ms)`
)

// findKeys finds the rows of keys, and makes those that are missing.
func (a *addition) findKeys(ctx context.Context, keys []*grouping.Key) error {
	for _, k := range keys {
		row, ok := a.knownKeys.row(k.ID)
		if !ok {
			if err := a.key.QueryRowContext(ctx, k.ID.String(), k.Last.Workspace).Scan(&row); err != nil {
				return err
			}
		}
		a.keys[k.ID] = row
	}
	return nil
}

func (a *addition) addKeys(ctx context.Context, keys []*grouping.Key) error {
	var seq int64
	if err := a.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM keys").Scan(&seq); err != nil {
		return err
	}
	sums, uses := newRows(a.Tx, insertKeys, addKeySums, keyWidth), newRows(a.Tx, insertUses, keepUses, 3)
	for _, k := range keys {
		seq++
		remaining, resetAt := left(k.Last.Remaining, k.Last.ResetAt)
		budget, budgetResetAt := left(k.Last.BudgetRemaining, k.Last.BudgetResetAt)
		err := sums.add(ctx, append(sumsOf(seq, &k.Sums), k.ID.String(), k.Last.Workspace, k.Last.ServiceAccount,
			usedMillis(k.Last.UsedAt), remaining, resetAt, budget, budgetResetAt, millis(k.Last.PassedAt))...)
		if err != nil {
			return err
		}
		id := a.keys[k.ID]
		if err := addUses(ctx, uses, id, &k.Last.Generations); err != nil {
			return err
		}
		for i := range k.Refusals {
			if err := a.refuse(ctx, id, &k.Refusals[i]); err != nil {
				return err
			}
		}
	}
	if err := sums.flush(ctx); err != nil {
		return err
	}
	return uses.flush(ctx)
}

func (a *addition) addGroups(ctx context.Context, groups []*grouping.Group) error {
	var seq int64
	if err := a.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM usage_groups").Scan(&seq); err != nil {
		return err
	}
	sums := newRows(a.Tx, insertGroups, addGroupSums, groupWidth)
	for _, g := range groups {
		seq++
		if err := sums.add(ctx, append(sumsOf(seq, &g.Sums), g.Kind, g.Name, usedMillis(g.UsedAt))...); err != nil {
			return err
		}
	}
	return sums.flush(ctx)
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

// usedMillis is 0 for the zero time.
func usedMillis(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMilli()
}
