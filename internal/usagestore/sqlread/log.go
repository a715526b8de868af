package sqlread

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

const line = `l.at_us, l.request_id, k.key, s.workspace, s.service_account, s.entity_kind, s.entity_id, s.department, s.environment,
    s.status, s.error, s.tier, s.domain, s.resource, l.http_status, l.spend_microcents, l.latency_us, l.bytes`

// keysOf is a condition for the index that the log has: keys and times.
func keysOf(b *builder, f *usagestore.Filter) string {
	if keys, ok := f.Equal[usagestore.ByKey]; ok && len(keys) > 0 {
		return "l.key_id IN (SELECT id FROM keys WHERE key IN (" + b.list(keys) + "))"
	}
	if workspaces, ok := f.Equal[usagestore.ByWorkspace]; ok && len(workspaces) > 0 {
		return "l.key_id IN (SELECT key_id FROM series WHERE workspace IN (" + b.list(workspaces) + "))"
	}
	return "1 = 1"
}

// from is where the lines are that a filter selects in a range of time. Which series these are of is found out first: to join
// each line with its series, only to count it, took three times as long.
func (b *builder) from(from, to time.Time, f *usagestore.Filter) string {
	keys := keysOf(b, f)
	begin, end := b.value(from.UnixMicro()), b.value(to.UnixMicro())
	return fmt.Sprintf("log l WHERE %s AND l.at_us >= %s AND l.at_us < %s AND l.series_id IN (SELECT s.id FROM series s WHERE %s)", keys, begin, end, b.where(f))
}

// Log implements usagestore.Reader.
func (r *Reader) Log(ctx context.Context, q *usagestore.LogQuery) (page usagestore.LogPage, err error) {
	b := &builder{dialect: r.dialect}
	if err := r.db.QueryRowContext(ctx, "SELECT count(*) FROM "+b.from(q.From, q.To, &q.Filter), b.values...).Scan(&page.Total); err != nil {
		return usagestore.LogPage{}, r.explain(err)
	}
	skip := int64(q.Page-1) * int64(q.PageSize)
	if skip >= page.Total {
		return page, nil
	}
	// Which lines they are is found out before anything else of them is read.
	b = &builder{dialect: r.dialect}
	lines := "SELECT l.id, l.at_us FROM " + b.from(q.From, q.To, &q.Filter) +
		" ORDER BY l.at_us DESC, l.id DESC LIMIT " + b.value(q.PageSize) + " OFFSET " + b.value(skip)
	text := "SELECT " + line + " FROM (" + lines + ") AS p JOIN log l ON l.id = p.id AND l.at_us = p.at_us JOIN series s ON s.id = l.series_id JOIN keys k ON k.id = l.key_id" +
		" ORDER BY l.at_us DESC, l.id DESC"
	err = r.each(ctx, text, b.values, func(rows *sql.Rows) error {
		l, err := readLine(rows)
		page.Lines = append(page.Lines, l)
		return r.explain(err)
	})
	return page, err
}

// EachLine implements usagestore.Reader.
func (r *Reader) EachLine(ctx context.Context, from, to time.Time, f *usagestore.Filter, take func(*usagestore.Line) error) error {
	// In SQLite lines are in the order in which they came about, so that nothing has to be sorted.
	order := "l.at_us, l.id"
	if r.dialect == SQLite {
		order = "l.id"
	}
	for ; from.Before(to); from = from.Add(atOnce) {
		b := &builder{dialect: r.dialect}
		end := to
		if r.dialect == PostgreSQL && from.Add(atOnce).Before(to) {
			end = from.Add(atOnce)
		}
		text := "SELECT " + line + " FROM (SELECT l.* FROM " + b.from(from, end, f) + ") AS l JOIN series s ON s.id = l.series_id JOIN keys k ON k.id = l.key_id ORDER BY " + order
		err := r.each(ctx, text, b.values, func(rows *sql.Rows) error {
			l, err := readLine(rows)
			if err != nil {
				return r.explain(err)
			}
			return take(&l)
		})
		if err != nil || end.Equal(to) {
			return err
		}
	}
	return nil
}

// So much of the log PostgreSQL sorts at once.
const atOnce = 24 * time.Hour

func readLine(rows *sql.Rows) (l usagestore.Line, err error) {
	var at, latency int64
	var status string
	err = rows.Scan(&at, &l.RequestID, &l.Key, &l.Workspace, &l.ServiceAccount, &l.EntityKind, &l.EntityID, &l.Department, &l.Environment,
		&status, &l.Error, &l.Tier, &l.Domain, &l.Resource, &l.HTTPStatus, &l.SpendMicrocents, &latency, &l.Bytes)
	l.At, l.Latency = time.UnixMicro(at).UTC(), time.Duration(latency)*time.Microsecond
	l.Status, _ = usage.ParseStatus(status)
	return l, err
}
