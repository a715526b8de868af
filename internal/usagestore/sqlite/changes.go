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
const selectChanges = `
WITH RECURSIVE month_hours (hour) AS (
    SELECT ?1 UNION ALL SELECT hour + 3600 FROM month_hours WHERE hour + 3600 < ?2
)
SELECT seq, key, workspace, requests, denied,
    CASE WHEN month = ?1 THEN month_requests WHEN month < ?1 THEN 0 ELSE (
        SELECT coalesce(sum(count), 0) FROM month_hours CROSS JOIN hours
        WHERE hours.hour = month_hours.hour AND key_id = id AND code = ?3) END,
    CASE WHEN month = ?1 THEN month_denied WHEN month < ?1 THEN 0 ELSE (
        SELECT coalesce(sum(count), 0) FROM month_hours CROSS JOIN hours
        WHERE hours.hour = month_hours.hour AND key_id = id AND code <> ?3) END,
    last_used_ms, remaining, reset_ms
FROM keys WHERE seq > ?4 ORDER BY seq LIMIT ?5`

// Changes returns the keys that changed after a seq, the earliest change first, with their
// counts for the month that now lies in. A key that was last used in an earlier month has
// none in this one.
func (s *Store) Changes(ctx context.Context, after int64, now time.Time) (usagefeed.Page, error) {
	start := usagefeed.PeriodStart(now)
	// A new session is a new epoch, because the file may be another one, or an older copy.
	page := usagefeed.Page{Epoch: s.session + start.Format("-2006-01"), Next: after, Keys: []usagefeed.Key{}}
	rows, err := s.reader.QueryContext(ctx, selectChanges,
		start.Unix(), start.AddDate(0, 1, 0).Unix(), policy.CodeValid.String(), after, usagefeed.PageSize)
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
	var remaining, reset sql.NullInt64
	if err := rows.Scan(&seq, &key.ID, &key.Workspace, &key.Total.Requests, &key.Total.Denied,
		&key.Period.Requests, &key.Period.Denied, &lastUsed, &remaining, &reset); err != nil {
		return usagefeed.Key{}, 0, err
	}
	key.Period.Start = start
	key.LastUsedAt = fromMillis(lastUsed)
	if remaining.Valid {
		key.Remaining = &remaining.Int64
	}
	if reset.Valid {
		at := fromMillis(reset.Int64)
		key.ResetAt = &at
	}
	return key, seq, nil
}
