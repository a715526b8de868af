package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/claviger-dev/claviger/internal/usagefeed"
)

const selectChanges = `
SELECT seq, key, workspace, requests, denied, month, month_requests, month_denied, last_used_ms, remaining, reset_ms
FROM keys WHERE seq > ? ORDER BY seq LIMIT ?`

// Changes returns the keys that changed after a seq, the earliest change first, with their
// counts for the month that now lies in. A key that was last used in an earlier month has
// none in this one.
func (s *Store) Changes(ctx context.Context, after int64, now time.Time) (usagefeed.Page, error) {
	start := usagefeed.PeriodStart(now)
	// A new session is a new epoch, because the file may be another one, or an older copy.
	page := usagefeed.Page{Epoch: s.session + start.Format("-2006-01"), Next: after, Keys: []usagefeed.Key{}}
	rows, err := s.reader.QueryContext(ctx, selectChanges, after, usagefeed.PageSize)
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
	var month, lastUsed int64
	var remaining, reset sql.NullInt64
	counted := usagefeed.Counts{}
	if err := rows.Scan(&seq, &key.ID, &key.Workspace, &key.Total.Requests, &key.Total.Denied,
		&month, &counted.Requests, &counted.Denied, &lastUsed, &remaining, &reset); err != nil {
		return usagefeed.Key{}, 0, err
	}
	key.Period.Start = start
	if month == start.Unix() {
		key.Period.Counts = counted
	}
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
