package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagestore/grouping"
)

// leapAfter is more than roll-ups are ever out of order by: there is one recorder, and it
// adds them one after the other.
const (
	leapAfter  = time.Hour
	leapMillis = "3600000" // the same in a statement
)

// Add implements usagestore.Writer.
func (s *Store) Add(ctx context.Context, b *usage.Batch) error {
	found, keys := map[grouping.Hash]int64{}, map[keyid.ID]int64{}
	err := s.transaction(ctx, func(tx *sql.Tx) error {
		isNew, err := number(ctx, tx, b)
		if err != nil || !isNew {
			return err
		}
		rollup, lines, err := settle(ctx, tx, b)
		if err != nil {
			return err
		}
		a := &addition{Tx: tx, knownKeys: &s.keys, keys: keys, series: &seriesRows{known: &s.series, found: found, same: map[*usage.Series]int64{}}}
		return a.add(ctx, grouping.Of(rollup), lines)
	})
	if err == nil {
		s.series.keep(found)
		s.keys.keep(keys)
	}
	return s.explain(err)
}

// Stored implements usagestore.Writer.
func (s *Store) Stored(ctx context.Context, writer string) (last int64, err error) {
	err = s.reader.QueryRowContext(ctx, "SELECT last FROM writers WHERE writer = ?", writer).Scan(&last)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return last, s.explain(err)
}

// number notes a batch's number, and says whether it is a new one.
func number(ctx context.Context, tx *sql.Tx, b *usage.Batch) (isNew bool, err error) {
	var last int64
	err = tx.QueryRowContext(ctx, "SELECT last FROM writers WHERE writer = ?", b.Writer).Scan(&last)
	switch {
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return false, err
	case b.Last <= last:
		return false, nil
	case b.First <= last:
		return false, fmt.Errorf("a batch of usage has the numbers %d to %d, and those up to %d are stored already: ask Stored before a batch is added again", b.First, b.Last, last)
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO writers (writer, last) VALUES (?, ?) ON CONFLICT (writer) DO UPDATE SET last = excluded.last", b.Writer, b.Last)
	return true, err
}

// settle finds out which reports are new.
func settle(ctx context.Context, tx *sql.Tx, b *usage.Batch) (*usage.Rollup, []usage.Line, error) {
	if len(b.Reports) == 0 {
		return b.Rollup, b.Lines, nil
	}
	insert, err := tx.PrepareContext(ctx, "INSERT INTO reports (key, request, at_s) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
	if err != nil {
		return nil, nil, err
	}
	news := make([]bool, len(b.Reports))
	for i := range b.Reports {
		e := &b.Reports[i]
		request := grouping.RequestHash(e.RequestID)
		result, err := insert.ExecContext(ctx, e.Key[:], request[:], e.At.Unix())
		if err != nil {
			return nil, nil, err
		}
		rows, err := result.RowsAffected()
		if err != nil {
			return nil, nil, err
		}
		news[i] = rows > 0
	}
	rollup, lines := b.Settle(func(i int) bool { return news[i] })
	return rollup, lines, nil
}

// addition is a transaction that adds. Its statements end with it.
type addition struct {
	*sql.Tx
	knownKeys    *known[keyid.ID]
	keys         map[keyid.ID]int64 // the rows
	series       *seriesRows
	limits       map[string]int64
	key, refusal *sql.Stmt
}

func (a *addition) add(ctx context.Context, changes *grouping.Changes, lines []usage.Line) (err error) {
	for statement, text := range map[**sql.Stmt]string{
		&a.key: insertKey, &a.refusal: upsertRefusal, &a.series.insert: insertSeries, &a.series.quarters: markQuarters,
	} {
		if *statement, err = a.PrepareContext(ctx, text); err != nil {
			return err
		}
	}
	if a.limits, err = addLimits(ctx, a.Tx, changes.Limits); err != nil {
		return err
	}
	for _, add := range []func() error{
		func() error { return a.findKeys(ctx, changes.Keys) },
		func() error { return a.addKeys(ctx, changes.Keys) },
		func() error { return a.addGroups(ctx, changes.Groups) },
		func() error { return a.addSlots(ctx, "hours", changes.Hours) },
		func() error { return a.addSlots(ctx, "days", changes.Days) },
		func() error { return a.addLines(ctx, lines) },
	} {
		if err := add(); err != nil {
			return err
		}
	}
	return nil
}

// addMeasures is the end of an upsert of hours or days. Sums end where usage.Sum ends.
const addMeasures = `
ON CONFLICT (start, series_id) DO UPDATE SET
    count = count + excluded.count, spend_microcents = min(spend_microcents + excluded.spend_microcents, ` + grouping.MaxSum + `),
    latency_us = min(latency_us + excluded.latency_us, ` + grouping.MaxSum + `), timed = timed + excluded.timed, bytes = min(bytes + excluded.bytes, ` + grouping.MaxSum + `)`

func (a *addition) addSlots(ctx context.Context, table string, slots []grouping.Slot) error {
	r := newRows(a.Tx, "INSERT INTO "+table+" (start, series_id, count, spend_microcents, latency_us, timed, bytes) VALUES ", addMeasures, 7)
	for i := range slots {
		slot := &slots[i]
		series, err := a.series.of(ctx, a, slot.Series)
		if err != nil {
			return err
		}
		if slot.Start%usage.Hour != 0 {
			if _, err := a.series.quarters.ExecContext(ctx, series); err != nil {
				return err
			}
		}
		m := &slot.Measures
		if err := r.add(ctx, slot.Start, series, m.Count, m.SpendMicrocents, m.LatencyMicros, m.Timed, m.Bytes); err != nil {
			return err
		}
	}
	return r.flush(ctx)
}
