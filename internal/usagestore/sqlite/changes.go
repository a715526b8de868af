package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

// Of several limits that a key has exhausted, the one is told of that stays so for longest.
var selectChanges = `
SELECT ` + sumsOfTable("keys") + `, keys.id, key, workspace, remaining, reset_ms, budget_remaining, budget_reset_ms, uid, refusals.code, until_ms,
    ` + generationsOfKey + `
FROM keys
LEFT JOIN refusals ON refusals.key_id = keys.id AND refusals.limit_id = (
    SELECT limit_id FROM refusals JOIN key_limits AS l ON l.id = limit_id WHERE key_id = keys.id AND ` + exhaustedNow + ` ORDER BY until_ms DESC, l.uid LIMIT 1)
LEFT JOIN key_limits ON key_limits.id = refusals.limit_id
WHERE keys.seq > ?4 ORDER BY keys.seq LIMIT ?5`

// Changes implements usagestore.Feed.
func (s *Store) Changes(ctx context.Context, after int64, now time.Time, period usagestore.PeriodOf) (usagefeed.Page, error) {
	page := usagefeed.Page{Epoch: s.epoch(now), Next: after, Keys: []usagefeed.Key{}}
	var counted []sums
	var ids []int64
	err := s.rows(ctx, selectChanges, append(moments(now), after, usagefeed.PageSize), func(rows *sql.Rows) error {
		key, id, c, err := scanKey(rows)
		if err != nil {
			return err
		}
		page.Keys, page.Next = append(page.Keys, key), c.seq
		counted, ids = append(counted, c), append(ids, id)
		return nil
	})
	if err != nil {
		return usagefeed.Page{}, err
	}
	for i := range page.Keys {
		key := &page.Keys[i]
		start, end := period(key.Workspace)
		if key.Period, err = s.period(ctx, &counted[i], start, end, "key_id = ?1", ids[i]); err != nil {
			return usagefeed.Page{}, err
		}
	}
	return page, nil
}

func scanKey(rows *sql.Rows) (key usagefeed.Key, id int64, c sums, err error) {
	var remaining, reset, budget, budgetReset, until sql.NullInt64
	var limit, code sql.NullString
	var generations string
	err = rows.Scan(append(c.into(), &id, &key.ID, &key.Workspace, &remaining, &reset, &budget, &budgetReset,
		&limit, &code, &until, &generations)...)
	if err != nil {
		return key, id, c, err
	}
	key.Total, key.LastUsedAt = c.total, c.usedAt()
	key.Remaining, key.ResetAt = number64(remaining), moment(reset)
	key.BudgetRemaining, key.BudgetResetAt = number64(budget), moment(budgetReset)
	if limit.Valid {
		key.Exhausted = &usagefeed.Exhausted{Limit: limit.String, Code: code.String, ResetAt: fromMillis(until.Int64)}
	}
	key.Generations, err = readGenerations(generations)
	return key, id, c, err
}

var selectGroups = `SELECT ` + sumsOfTable("usage_groups") + `, kind, name FROM usage_groups WHERE seq > ? ORDER BY seq LIMIT ?`

// Groups implements usagestore.Feed.
func (s *Store) Groups(ctx context.Context, after int64, now time.Time, period usagestore.PeriodOf) (usagefeed.GroupPage, error) {
	page := usagefeed.GroupPage{Epoch: s.epoch(now), Next: after, Groups: []usagefeed.Group{}}
	var counted []sums
	err := s.rows(ctx, selectGroups, []any{after, usagefeed.PageSize}, func(rows *sql.Rows) error {
		var g usagefeed.Group
		var c sums
		if err := rows.Scan(append(c.into(), &g.Kind, &g.Name)...); err != nil {
			return err
		}
		g.Total, g.LastUsedAt = c.total, c.usedAt()
		page.Groups, page.Next = append(page.Groups, g), c.seq
		counted = append(counted, c)
		return nil
	})
	if err != nil {
		return usagefeed.GroupPage{}, err
	}
	for i := range page.Groups {
		if err := s.periodOfGroup(ctx, &page.Groups[i], &counted[i], period); err != nil {
			return usagefeed.GroupPage{}, err
		}
	}
	return page, nil
}

// rows hands over the rows of a query.
func (s *Store) rows(ctx context.Context, text string, values []any, take func(*sql.Rows) error) error {
	rows, err := s.reader.QueryContext(ctx, text, values...)
	if err != nil {
		return s.explain(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	for rows.Next() {
		if err := take(rows); err != nil {
			return s.explain(err)
		}
	}
	return s.explain(rows.Err())
}

// number64 is nil for NULL.
func number64(n sql.NullInt64) *int64 {
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
