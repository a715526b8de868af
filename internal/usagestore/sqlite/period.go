package sqlite

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

// sumsOfTable are the columns for sums.into.
func sumsOfTable(table string) string {
	names := strings.Split(strings.ReplaceAll(sumColumns, "\n", " ")+", last_used_ms", ",")
	for i, name := range names {
		names[i] = table + "." + strings.TrimSpace(name)
	}
	return strings.Join(names, ", ")
}

// sums are what a row of keys or groups has counted.
type sums struct {
	seq           int64
	total, period usagefeed.Counts
	periodStart   int64 // 0: not known
	newest        int64 // the hour
	lastUsed      int64 // in milliseconds; 0: never
}

func (c *sums) into() []any {
	t, p := &c.total, &c.period
	return []any{
		&c.seq, &t.Requests, &t.Denied, &t.Succeeded, &t.Failed, &t.SpendMicrocents,
		&c.periodStart, &p.Requests, &p.Denied, &p.Succeeded, &p.Failed, &p.SpendMicrocents, &c.newest, &c.lastUsed,
	}
}

func (c *sums) usedAt() time.Time {
	if c.lastUsed == 0 {
		return time.Time{}
	}
	return fromMillis(c.lastUsed)
}

// period is what was counted in [start, end). A row knows one period only. Where that is another one than is asked for,
// because the clock was ahead once or the workspace's periods were changed, the hours and days tell.
func (s *Store) period(ctx context.Context, c *sums, start, end time.Time, of string, values ...any) (usagefeed.Period, error) {
	period := usagefeed.Period{Start: start.UTC()}
	switch {
	case c.periodStart == start.Unix():
		period.Counts = c.period
	case c.newest >= start.Unix():
		var err error
		period.Counts, err = s.sumUp(ctx, start.Unix(), end.Unix(), of, values)
		return period, err
	}
	return period, nil
}

func (s *Store) periodOfGroup(ctx context.Context, g *usagefeed.Group, c *sums, period usagestore.PeriodOf) (err error) {
	workspace, of, values := g.Name, "workspace = ?1", []any{g.Name}
	if g.Kind == usagefeed.KindServiceAccount {
		namespace, name, _ := strings.Cut(g.Name, "/")
		// All of its keys are in one workspace, of which only the series know the name.
		of, values = "service_account = ?1 AND workspace LIKE ?2 ESCAPE '\\'", []any{name, escapeLike(namespace) + "/%"}
		if workspace, err = s.workspaceOf(ctx, of, values); err != nil {
			return err
		}
	}
	start, end := period(workspace)
	g.Period, err = s.period(ctx, c, start, end, of, values...)
	return err
}

func escapeLike(text string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text)
}

func (s *Store) workspaceOf(ctx context.Context, of string, values []any) (workspace string, err error) {
	err = s.reader.QueryRowContext(ctx, "SELECT workspace FROM series WHERE "+of+" ORDER BY id DESC LIMIT 1", values...).Scan(&workspace)
	return workspace, s.explain(err)
}

// sumUp reads the days of UTC that are whole, and the hours at both ends. Each is looked up by itself: in the tables' order
// they lie among those of all other keys.
func (s *Store) sumUp(ctx context.Context, start, end int64, of string, values []any) (counts usagefeed.Counts, err error) {
	first, last := usage.DayStart(start+usage.Day-1), usage.DayStart(end)
	if first > last {
		first, last = end, end
	}
	for _, part := range []struct {
		table          string
		from, to, step int64
	}{
		{"hours", start, first, usage.Quarter}, {"days", first, last, usage.Day}, {"hours", last, end, usage.Quarter},
	} {
		if part.from >= part.to {
			continue
		}
		text := `WITH RECURSIVE starts (start) AS (SELECT ?3 UNION ALL SELECT start + ?5 FROM starts WHERE start + ?5 < ?4)
SELECT status, coalesce(sum(count), 0), coalesce(sum(spend_microcents), 0)
FROM series CROSS JOIN starts CROSS JOIN ` + part.table + ` r ON r.start = starts.start AND r.series_id = series.id WHERE ` + of + ` GROUP BY status`
		all := []any{nil, nil, part.from, part.to, part.step}
		copy(all, values)
		err := s.rows(ctx, text, all, func(rows *sql.Rows) error { return addStatus(rows, &counts) })
		if err != nil {
			return counts, err
		}
	}
	return counts, nil
}

func addStatus(rows *sql.Rows, counts *usagefeed.Counts) error {
	var name string
	var count, spend int64
	if err := rows.Scan(&name, &count, &spend); err != nil {
		return err
	}
	counts.SpendMicrocents += spend
	switch status, _ := usage.ParseStatus(name); status {
	case usage.Allowed:
		counts.Requests += count
	case usage.Denied:
		counts.Denied += count
	case usage.Succeeded:
		counts.Succeeded += count
	case usage.Failed:
		counts.Failed += count
	}
	return nil
}
