package sqlite

import (
	"context"
	"encoding/json"
	"time"

	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

// A chunk is deleted in some ten milliseconds: flushes get in between.
const deleteChunk = 5000

const (
	deleteHours = `
DELETE FROM hours WHERE (start, series_id) IN (SELECT start, series_id FROM hours WHERE start < ? ORDER BY start LIMIT ?)`
	deleteDays = `
DELETE FROM days WHERE (start, series_id) IN (SELECT start, series_id FROM days WHERE start < ? ORDER BY start LIMIT ?)`
	deleteReports = `
DELETE FROM reports WHERE (key, request) IN (SELECT key, request FROM reports WHERE at_s < ? ORDER BY at_s LIMIT ?)`

	anyHour = `SELECT EXISTS (SELECT 1 FROM hours WHERE start >= ? AND start < ?)`
)

// Expire implements usagestore.Store.
//
// What is deleted does not come back, and a clock may be years ahead for a moment, in which
// it may even stamp some uses. So no sums go unless the month before the current one was
// used too: a clock that leaped has no such month, or is at most one month early. Where
// really nothing was used for so long there is nothing new either that would need the space. Lines of the log go by the
// clock, as it may be the law that they do.
func (s *Store) Expire(ctx context.Context, now time.Time, keep usagestore.Keep) error {
	if err := s.expireSums(ctx, now); err != nil {
		return s.explain(err)
	}
	if err := s.expireLog(ctx, now, keep); err != nil {
		return s.explain(err)
	}
	if err := s.inChunks(ctx, deleteReports, now.Add(-usagestore.ReportsKept).Unix()); err != nil {
		return s.explain(err)
	}
	return s.ExpireCounts(ctx, now)
}

func (s *Store) expireSums(ctx context.Context, now time.Time) error {
	month := usagefeed.PeriodStart(now)
	var credible bool
	err := s.reader.QueryRowContext(ctx, anyHour, month.AddDate(0, -1, 0).Unix(), month.Unix()).Scan(&credible)
	if err != nil || !credible {
		return err
	}
	if err := s.inChunks(ctx, deleteHours, usagestore.HoursSince(now).Unix()); err != nil {
		return err
	}
	return s.inChunks(ctx, deleteDays, usagestore.DaysSince(now).Unix())
}

func (s *Store) inChunks(ctx context.Context, statement string, before int64) error {
	for {
		result, err := s.writer.ExecContext(ctx, statement, before, deleteChunk)
		if err != nil {
			return err
		}
		if deleted, err := result.RowsAffected(); err != nil || deleted < deleteChunk {
			return err
		}
	}
}

const selectLines = `
SELECT log.id, at_us, expires, series.workspace FROM log JOIN series ON series.id = series_id
WHERE log.id > ? ORDER BY log.id LIMIT ?`

// expireLog walks through the log: lines of workspaces that keep them for less long lie among the others.
func (s *Store) expireLog(ctx context.Context, now time.Time, keep usagestore.Keep) error {
	today := usage.DayStart(now.Unix()) / usage.Day
	for after := int64(0); ; {
		var over []int64
		walked := 0
		rows, err := s.reader.QueryContext(ctx, selectLines, after, deleteChunk)
		if err != nil {
			return err
		}
		for ; rows.Next(); walked++ {
			var at, expires int64
			var workspace string
			if err := rows.Scan(&after, &at, &expires, &workspace); err != nil {
				rows.Close() //nolint:errcheck // the first error is the one to report
				return err
			}
			kept, known := keep(workspace)
			if expires < today || known && time.UnixMicro(at).Add(kept).Before(now) {
				over = append(over, after)
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if err := s.deleteLines(ctx, over); err != nil || walked < deleteChunk {
			return err
		}
	}
}

func (s *Store) deleteLines(ctx context.Context, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	text, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	_, err = s.writer.ExecContext(ctx, "DELETE FROM log WHERE id IN (SELECT value FROM json_each(?))", string(text))
	return err
}
