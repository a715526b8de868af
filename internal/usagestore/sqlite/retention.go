package sqlite

import (
	"context"
	"time"

	"k8s.io/utils/clock"

	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// KeptMonths is for how many calendar months before the current one the hours are kept: a
// year and a month, so that any month can be compared with the same one a year before. The
// totals of a key are kept for good.
const KeptMonths = 13

// A chunk is deleted in some ten milliseconds: flushes get in between.
const deleteChunk = 5000

const deleteHours = `
DELETE FROM hours WHERE (hour, key_id, code) IN (
    SELECT hour, key_id, code FROM hours WHERE hour < ? ORDER BY hour LIMIT ?)`

const anyHour = `SELECT EXISTS (SELECT 1 FROM hours WHERE hour >= ? AND hour < ?)`

// Expire deletes the hours that are past keeping. It returns how many rows went.
//
// What is deleted does not come back, and a clock may be years ahead for a moment, in which
// it may even stamp some uses. So nothing goes unless the month before the current one was
// used too: a clock that leaped has no such month, or is at most one month early. Where
// really nothing was used for so long there is nothing new either that would need the space.
func (s *Store) Expire(ctx context.Context, now time.Time) (int64, error) {
	month := usagefeed.PeriodStart(now)
	var credible bool
	err := s.reader.QueryRowContext(ctx, anyHour, month.AddDate(0, -1, 0).Unix(), month.Unix()).Scan(&credible)
	if err != nil || !credible {
		return 0, s.explain(err)
	}
	oldest := month.AddDate(0, -KeptMonths, 0)
	var total int64
	for {
		result, err := s.writer.ExecContext(ctx, deleteHours, oldest.Unix(), deleteChunk)
		if err != nil {
			return total, s.explain(err)
		}
		deleted, err := result.RowsAffected()
		total += deleted
		if err != nil || deleted < deleteChunk {
			return total, s.explain(err)
		}
	}
}

const expireEvery = time.Hour

// RunExpiry deletes old hours now and then until ctx ends. A failure is given to failed
// and tried again an hour later.
func (s *Store) RunExpiry(ctx context.Context, clock clock.WithTicker, failed func(error)) {
	ticker := clock.NewTicker(expireEvery)
	defer ticker.Stop()
	for {
		if _, err := s.Expire(ctx, clock.Now()); err != nil && ctx.Err() == nil {
			failed(err)
		}
		if err := s.ExpireCounts(ctx, clock.Now()); err != nil && ctx.Err() == nil {
			failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}
	}
}
