package postgres

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/internal/usagestore"
	"github.com/claviger-dev/claviger/internal/usagestore/grouping"
)

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
	return time.UnixMilli(c.lastUsed).UTC()
}

// in is what was counted in [start, end). A row knows one period only. Where that is another one than is asked for,
// because the clock was ahead once or the workspace's periods were changed, the hours and days tell.
func (c *sums) in(ctx context.Context, tx pgx.Tx, start, end time.Time, of string, values ...any) (usagefeed.Period, error) {
	period := usagefeed.Period{Start: start.UTC()}
	switch {
	case c.periodStart == start.Unix():
		period.Counts = c.period
	case c.newest >= start.Unix():
		var err error
		period.Counts, err = sumUp(ctx, tx, start.Unix(), end.Unix(), of, values)
		return period, err
	}
	return period, nil
}

func periodOfGroup(ctx context.Context, tx pgx.Tx, g *usagefeed.Group, c *sums, period usagestore.PeriodOf) (err error) {
	workspace, of, values := g.Name, "s.workspace = $3", []any{g.Name}
	if g.Kind == usagefeed.KindServiceAccount {
		namespace, name, _ := strings.Cut(g.Name, "/")
		// All of its keys are in one workspace, of which only the series know the name.
		of, values = "s.service_account = $3 AND split_part(s.workspace, '/', 1) = $4", []any{name, namespace}
		err := tx.QueryRow(ctx, "SELECT workspace FROM series s WHERE s.service_account = $1 AND split_part(s.workspace, '/', 1) = $2 ORDER BY id DESC LIMIT 1", name, namespace).Scan(&workspace)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
	}
	start, end := period(workspace)
	g.Period, err = c.in(ctx, tx, start, end, of, values...)
	return err
}

// sumUp reads the days of UTC that are whole, and the hours at both ends.
func sumUp(ctx context.Context, tx pgx.Tx, start, end int64, of string, values []any) (counts usagefeed.Counts, err error) {
	first, last := usage.DayStart(start+usage.Day-1), usage.DayStart(end)
	if first > last {
		first, last = end, end
	}
	for _, part := range []struct {
		table    string
		from, to int64
	}{{"hours", start, first}, {"days", first, last}, {"hours", last, end}} {
		if part.from >= part.to {
			continue
		}
		rows, err := tx.Query(ctx, `SELECT status, sum(count)::bigint, least(sum(r.spend_microcents), `+grouping.MaxSum+`)::bigint FROM series s JOIN `+part.table+
			` r ON r.series_id = s.id WHERE r.start >= $1 AND r.start < $2 AND `+of+` GROUP BY status`, append([]any{part.from, part.to}, values...)...)
		if err != nil {
			return counts, err
		}
		if err := addStatuses(rows, &counts); err != nil {
			return counts, err
		}
	}
	return counts, nil
}

func addStatuses(rows pgx.Rows, counts *usagefeed.Counts) error {
	defer rows.Close()
	for rows.Next() {
		var name string
		var count, spend int64
		if err := rows.Scan(&name, &count, &spend); err != nil {
			return err
		}
		counts.SpendMicrocents = usage.Sum(counts.SpendMicrocents, spend)
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
	}
	return rows.Err()
}
