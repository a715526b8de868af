package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

// Whoever is held back counts as throttled for so long after each refusal, at least. A token bucket or a
// place among concurrent requests gets free within milliseconds, and is taken again: between two reads of
// the feed nobody would ever seem to be throttled by them.
const throttledFor = 30 * time.Second

// What is refused now, of a row of refusals r and that of its key k. $1 is the present in Unix milliseconds, $2 what
// leapAfter is from there: a refusal after that was stamped by a clock that was ahead. A request that was
// allowed since ends a refusal, whatever it was to last, because somebody must have changed the limit;
// unless it is one of the many that pass a token bucket between the refused ones. $3 is what throttledFor is before the present.
const (
	stillRefused = `(r.until_ms > $1::bigint AND r.refused_ms >= coalesce(k.passed_ms, 0) AND r.refused_ms <= $2::bigint)`
	exhaustedNow = `(r.exhausted AND ` + stillRefused + `)`
	throttledNow = `(NOT r.exhausted AND (` + stillRefused + ` OR (r.refused_ms > $3::bigint AND r.refused_ms <= $2::bigint)))`
)

// moments are the parameters $1 to $3 of what is refused now.
func moments(now time.Time) []any {
	return []any{now.UnixMilli(), now.Add(leapAfter).UnixMilli(), now.Add(-throttledFor).UnixMilli()}
}

// Of several limits that a key has exhausted, the one is told of that stays so for longest.
const selectChanges = `
SELECT k.seq, ` + sumsOfRow + `, k.last_used_ms, k.id, k.key, k.workspace, k.remaining, k.reset_ms, k.budget_remaining, k.budget_reset_ms,
    x.uid, x.code, x.until_ms,
    (SELECT coalesce(json_agg(json_build_array(generation, last_used_ms) ORDER BY generation DESC), '[]')::text FROM key_generations WHERE key_id = k.id)
FROM keys k LEFT JOIN LATERAL (
    SELECT l.uid, r.code, r.until_ms FROM refusals r JOIN key_limits l ON l.id = r.limit_id
    WHERE r.key_id = k.id AND ` + exhaustedNow + ` AND $3::bigint IS NOT NULL ORDER BY r.until_ms DESC, l.uid LIMIT 1) x ON true
WHERE k.seq > $4 ORDER BY k.seq LIMIT $5`

const sumsOfRow = `k.requests, k.denied, k.succeeded, k.failed, k.spend_microcents, k.period_start, k.period_requests, k.period_denied,
    k.period_succeeded, k.period_failed, k.period_spend_microcents, k.newest_hour`

// Changes implements usagestore.Feed.
func (s *Store) Changes(ctx context.Context, after int64, now time.Time, period usagestore.PeriodOf) (page usagefeed.Page, err error) {
	page = usagefeed.Page{Next: after, Shared: true, Keys: []usagefeed.Key{}}
	err = s.transaction(ctx, readTimeout, func(ctx context.Context, tx pgx.Tx) (err error) {
		if page.Epoch, err = epoch(ctx, tx, now); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, selectChanges, append(moments(now), after, usagefeed.PageSize)...)
		if err != nil {
			return err
		}
		var counted []sums
		var ids []int64
		for rows.Next() {
			key, id, c, err := scanKey(rows)
			if err != nil {
				rows.Close()
				return err
			}
			page.Keys, page.Next = append(page.Keys, key), c.seq
			counted, ids = append(counted, c), append(ids, id)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		for i := range page.Keys {
			start, end := period(page.Keys[i].Workspace)
			if page.Keys[i].Period, err = counted[i].in(ctx, tx, start, end, "s.key_id = $3", ids[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return page, err
}

func scanKey(rows pgx.Rows) (key usagefeed.Key, id int64, c sums, err error) {
	var reset, budgetReset, until *int64
	var limit, code *string
	var generations string
	err = rows.Scan(append(c.into(), &id, &key.ID, &key.Workspace, &key.Remaining, &reset, &key.BudgetRemaining, &budgetReset,
		&limit, &code, &until, &generations)...)
	if err != nil {
		return key, id, c, err
	}
	key.Total, key.LastUsedAt = c.total, c.usedAt()
	key.ResetAt, key.BudgetResetAt = fromMillis(reset), fromMillis(budgetReset)
	if limit != nil {
		key.Exhausted = &usagefeed.Exhausted{Limit: *limit, Code: *code, ResetAt: *fromMillis(until)}
	}
	var pairs [][2]int64
	if err := json.Unmarshal([]byte(generations), &pairs); err != nil {
		return key, id, c, err
	}
	for _, pair := range pairs {
		key.Generations = append(key.Generations, usagefeed.Generation{Number: int(pair[0]), LastUsedAt: time.UnixMilli(pair[1]).UTC()})
	}
	return key, id, c, nil
}

// epoch is another one when the database is started anew, as it may have been restored from an older copy, and in each month.
func epoch(ctx context.Context, tx pgx.Tx, now time.Time) (string, error) {
	var started time.Time
	err := tx.QueryRow(ctx, "SELECT pg_postmaster_start_time()").Scan(&started)
	return fmt.Sprintf("%x%s", started.UnixMicro(), usagefeed.PeriodStart(now).Format("-2006-01")), err
}

const selectGroups = `SELECT k.seq, ` + sumsOfRow + `, k.last_used_ms, k.kind, k.name FROM usage_groups k WHERE k.seq > $1 ORDER BY k.seq LIMIT $2`

// Groups implements usagestore.Feed.
func (s *Store) Groups(ctx context.Context, after int64, now time.Time, period usagestore.PeriodOf) (page usagefeed.GroupPage, err error) {
	page = usagefeed.GroupPage{Next: after, Shared: true, Groups: []usagefeed.Group{}}
	err = s.transaction(ctx, readTimeout, func(ctx context.Context, tx pgx.Tx) (err error) {
		if page.Epoch, err = epoch(ctx, tx, now); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, selectGroups, after, usagefeed.PageSize)
		if err != nil {
			return err
		}
		var counted []sums
		for rows.Next() {
			var g usagefeed.Group
			var c sums
			if err := rows.Scan(append(c.into(), &g.Kind, &g.Name)...); err != nil {
				rows.Close()
				return err
			}
			g.Total, g.LastUsedAt = c.total, c.usedAt()
			page.Groups, page.Next = append(page.Groups, g), c.seq
			counted = append(counted, c)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		for i := range page.Groups {
			if err := periodOfGroup(ctx, tx, &page.Groups[i], &counted[i], period); err != nil {
				return err
			}
		}
		return nil
	})
	return page, err
}

const selectLimits = `
SELECT l.seq, l.uid, l.denied, l.shadow_denied, count(*) FILTER (WHERE ` + throttledNow + `), count(*) FILTER (WHERE ` + exhaustedNow + `)
FROM (SELECT * FROM key_limits WHERE seq > $4 ORDER BY seq LIMIT $5) AS l
LEFT JOIN refusals r ON r.limit_id = l.id LEFT JOIN keys k ON k.id = r.key_id
GROUP BY l.id, l.seq, l.uid, l.denied, l.shadow_denied ORDER BY l.seq`

// Limits implements usagestore.Feed. What ends by itself is a change once Lapse has seen it.
func (s *Store) Limits(ctx context.Context, after int64, now time.Time) (page usagefeed.LimitPage, err error) {
	page = usagefeed.LimitPage{Next: after, Limits: []usagefeed.Limit{}}
	err = s.transaction(ctx, readTimeout, func(ctx context.Context, tx pgx.Tx) (err error) {
		if page.Epoch, err = epoch(ctx, tx, now); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, selectLimits, append(moments(now), after, usagefeed.PageSize)...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var l usagefeed.Limit
			if err := rows.Scan(&page.Next, &l.ID, &l.Denied, &l.ShadowDenied, &l.ThrottledKeys, &l.ExhaustedKeys); err != nil {
				return err
			}
			page.Limits = append(page.Limits, l)
		}
		return rows.Err()
	})
	return page, err
}
