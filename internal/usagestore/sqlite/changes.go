package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// A row knows one month only. Where that is a later one than is asked for, because the clock
// was ahead once, the hours tell. Each is looked up by itself, which takes a millisecond for
// the month: in the table's order they lie among those of all other keys.
//
// Of several limits that a key has exhausted, the one is told of that stays so for longest.
const selectChanges = `
WITH RECURSIVE month_hours (hour) AS (
    SELECT ?4 UNION ALL SELECT hour + 3600 FROM month_hours WHERE hour + 3600 < ?5
)
SELECT keys.seq, key, workspace, requests, keys.denied,
    CASE WHEN month = ?4 THEN month_requests WHEN month < ?4 THEN 0 ELSE (
        SELECT coalesce(sum(count), 0) FROM month_hours CROSS JOIN hours
        WHERE hours.hour = month_hours.hour AND hours.key_id = keys.id AND hours.code = ?6) END,
    CASE WHEN month = ?4 THEN month_denied WHEN month < ?4 THEN 0 ELSE (
        SELECT coalesce(sum(count), 0) FROM month_hours CROSS JOIN hours
        WHERE hours.hour = month_hours.hour AND hours.key_id = keys.id AND hours.code <> ?6) END,
    last_used_ms, remaining, reset_ms, budget_remaining, budget_reset_ms, uid, refusals.code, until_ms,
    ` + generationsOfKey + `
FROM keys
LEFT JOIN refusals ON refusals.key_id = keys.id AND refusals.limit_id = (
    SELECT limit_id FROM refusals WHERE key_id = keys.id AND ` + exhaustedNow + ` ORDER BY until_ms DESC, limit_id LIMIT 1)
LEFT JOIN key_limits ON key_limits.id = refusals.limit_id
WHERE keys.seq > ?7 ORDER BY keys.seq LIMIT ?8`

// Changes returns the keys that changed after a seq, the earliest change first, with their
// counts for the month that now lies in. A key that was last used in an earlier month has
// none in this one.
func (s *Store) Changes(ctx context.Context, after int64, now time.Time) (usagefeed.Page, error) {
	start := usagefeed.PeriodStart(now)
	page := usagefeed.Page{Epoch: s.epoch(now), Next: after, Keys: []usagefeed.Key{}}
	rows, err := s.reader.QueryContext(ctx, selectChanges, append(moments(now),
		start.Unix(), start.AddDate(0, 1, 0).Unix(), policy.CodeValid.String(), after, usagefeed.PageSize)...)
	if err != nil {
		return usagefeed.Page{}, s.explain(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	for rows.Next() {
		key, seq, err := scanKey(rows, start)
		if err != nil {
			return usagefeed.Page{}, s.explain(err)
		}
		page.Keys, page.Next = append(page.Keys, key), seq
	}
	return page, s.explain(rows.Err())
}

func scanKey(rows *sql.Rows, start time.Time) (key usagefeed.Key, seq int64, err error) {
	var lastUsed int64
	var remaining, reset, budget, budgetReset, until sql.NullInt64
	var limit, code sql.NullString
	var generations string
	if err := rows.Scan(&seq, &key.ID, &key.Workspace, &key.Total.Requests, &key.Total.Denied,
		&key.Period.Requests, &key.Period.Denied, &lastUsed, &remaining, &reset, &budget, &budgetReset,
		&limit, &code, &until, &generations); err != nil {
		return usagefeed.Key{}, 0, err
	}
	key.Period.Start = start
	key.LastUsedAt = fromMillis(lastUsed)
	key.Remaining, key.ResetAt = number(remaining), moment(reset)
	key.BudgetRemaining, key.BudgetResetAt = number(budget), moment(budgetReset)
	if limit.Valid {
		key.Exhausted = &usagefeed.Exhausted{Limit: limit.String, Code: code.String, ResetAt: fromMillis(until.Int64)}
	}
	key.Generations, err = readGenerations(generations)
	return key, seq, err
}

// number is nil for NULL.
func number(n sql.NullInt64) *int64 {
	if !n.Valid {
		return nil
	}
	return &n.Int64
}

// moment is nil for NULL.
func moment(ms sql.NullInt64) *time.Time {
	if !ms.Valid {
		return nil
	}
	at := fromMillis(ms.Int64)
	return &at
}
