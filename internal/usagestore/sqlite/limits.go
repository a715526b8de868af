package sqlite

import (
	"context"
	"time"

	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// Whoever is held back counts as throttled for so long after each refusal, at least. A token bucket or a
// place among concurrent requests gets free within milliseconds, and is taken again: between two reads of
// the feed nobody would ever seem to be throttled by them.
const throttledFor = 30 * time.Second

// What is refused now, of a row of refusals and that of its key. ?1 is the present in Unix milliseconds, ?2 what
// leapAfter is from there: a refusal after that was stamped by a clock that was ahead. A request that was
// allowed since ends a refusal, whatever it was to last, because somebody must have changed the limit;
// unless it is one of the many that pass a token bucket between the refused ones.
const (
	stillRefused = `(until_ms > ?1 AND refused_ms >= coalesce(passed_ms, 0) AND refused_ms <= ?2)`
	// throttledLately has ?3 for what throttledFor is before the present.
	throttledLately = `(refused_ms > ?3 AND refused_ms <= ?2)`

	exhaustedNow = `(exhausted = 1 AND ` + stillRefused + `)`
	throttledNow = `(exhausted = 0 AND (` + stillRefused + ` OR ` + throttledLately + `))`
)

// moments are the arguments ?1 to ?3 of what is refused now.
func moments(now time.Time) []any {
	return []any{now.UnixMilli(), now.Add(leapAfter).UnixMilli(), now.Add(-throttledFor).UnixMilli()}
}

const selectLimits = `
SELECT l.seq, l.uid, l.denied, l.shadow_denied, coalesce(sum(` + throttledNow + `), 0), coalesce(sum(` + exhaustedNow + `), 0)
FROM (SELECT * FROM key_limits WHERE seq > ?4 ORDER BY seq LIMIT ?5) AS l
LEFT JOIN refusals ON refusals.limit_id = l.id LEFT JOIN keys ON keys.id = refusals.key_id
GROUP BY l.id ORDER BY l.seq`

// Limits returns the KeyLimits that changed after a seq, the earliest change first, with the keys that they
// refuse now. What ends by itself is a change once Lapse has seen it.
func (s *Store) Limits(ctx context.Context, after int64, now time.Time) (usagefeed.LimitPage, error) {
	page := usagefeed.LimitPage{Epoch: s.epoch(now), Next: after, Limits: []usagefeed.Limit{}}
	rows, err := s.reader.QueryContext(ctx, selectLimits, append(moments(now), after, usagefeed.PageSize)...)
	if err != nil {
		return usagefeed.LimitPage{}, s.explain(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	for rows.Next() {
		var l usagefeed.Limit
		if err := rows.Scan(&page.Next, &l.ID, &l.Denied, &l.ShadowDenied, &l.ThrottledKeys, &l.ExhaustedKeys); err != nil {
			return usagefeed.LimitPage{}, s.explain(err)
		}
		page.Limits = append(page.Limits, l)
	}
	return page, s.explain(rows.Err())
}

// epoch is another one in each session, because the file may be another one, or an older copy, and in each month.
func (s *Store) epoch(now time.Time) string {
	return s.session + usagefeed.PeriodStart(now).Format("-2006-01")
}
