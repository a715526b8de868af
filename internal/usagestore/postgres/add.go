package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagestore"
	"github.com/claviger-dev/claviger/internal/usagestore/grouping"
)

// leapAfter is more than batches are ever out of order by, but for those that waited in a journal.
const leapAfter = time.Hour

// addition is a transaction that adds. What several verifiers add at once they lock in the same order: reports, keys,
// series, each sorted, and then the lock of the seqs, under which nothing else is waited for.
type addition struct {
	pgx.Tx
	store  *Store
	in     incarnation
	keys   map[string]int64 // rows
	series map[[16]byte]int64
	same   map[*usage.Series]place // of this batch, as hours, days and lines are of the same few
}

// place is where a series is: the rows of its key and of itself.
type place struct{ key, series int64 }

func (a *addition) placeOf(s *usage.Series) place {
	at, ok := a.same[s]
	if !ok {
		at = place{a.keys[s.Key.String()], a.series[grouping.HashOf(s)]}
		a.same[s] = at
	}
	return at
}

// Add implements usagestore.Writer.
func (s *Store) Add(ctx context.Context, b *usage.Batch) error {
	if err := s.makePartitions(ctx, daysOf(b)); err != nil {
		return err
	}
	a := &addition{store: s, same: map[*usage.Series]place{}}
	refused := false
	err := s.transaction(ctx, addTimeout, func(ctx context.Context, tx pgx.Tx) error {
		a.Tx = tx
		err := a.add(ctx, b)
		refused = isRefused(err) // but not of what is said in connecting, which comes out of the URL
		return err
	})
	switch {
	case err == nil && a.in != "":
		s.keys.keep(a.in, a.keys)
		s.series.keep(a.in, a.series)
	case refused:
		return fmt.Errorf("%w: %w", usagestore.ErrUnstorable, err)
	case noPartition(err):
		s.partitions.Clear() // another verifier has dropped one, which is made anew with the next try
	case noRow(err):
		s.keys.forget() // somebody has deleted rows, which are made anew with the next try
		s.series.forget()
	}
	return err
}

// Stored implements usagestore.Writer.
func (s *Store) Stored(ctx context.Context, writer string) (last int64, err error) {
	err = s.transaction(ctx, addTimeout, func(ctx context.Context, tx pgx.Tx) error {
		// A batch of which nobody knows whether it is committed holds its row until that is so, or not.
		err := tx.QueryRow(ctx, "SELECT last FROM writers WHERE writer = $1 FOR UPDATE", writer).Scan(&last)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	return last, err
}

func (a *addition) add(ctx context.Context, b *usage.Batch) error {
	isNew, err := a.number(ctx, b)
	if err != nil || !isNew {
		return err
	}
	rollup, lines, err := a.settle(ctx, b)
	if err != nil {
		return err
	}
	changes := grouping.Of(rollup)
	if err := a.findKeys(ctx, changes.Keys); err != nil {
		return err
	}
	if err := a.findSeries(ctx, changes.Hours); err != nil {
		return err
	}
	if err := a.copyLines(ctx, lines); err != nil {
		return err
	}
	if err := lock(ctx, a.Tx, lockSeq); err != nil {
		return err
	}
	if err := a.addSlots(ctx, upsertHours, changes.Hours); err != nil {
		return err
	}
	if err := a.addSlots(ctx, upsertDays, changes.Days); err != nil {
		return err
	}
	if err := a.addKeys(ctx, changes.Keys); err != nil {
		return err
	}
	if err := a.addGroups(ctx, changes.Groups); err != nil {
		return err
	}
	return a.addRefusals(ctx, changes)
}

// number notes a batch's number, and says whether it is a new one. Whoever adds the same at the same time waits here. On
// the way it finds out which incarnation of the database the transaction is in.
func (a *addition) number(ctx context.Context, b *usage.Batch) (isNew bool, err error) {
	const note = `
INSERT INTO writers (writer, last) VALUES ($1, $2)
ON CONFLICT (writer) DO UPDATE SET last = excluded.last WHERE writers.last < $3 RETURNING ` + selectIncarnation
	var last int64
	err = a.QueryRow(ctx, note, b.Writer, b.Last, b.First).Scan(&a.in)
	if !errors.Is(err, pgx.ErrNoRows) {
		return err == nil, err
	}
	if err := a.QueryRow(ctx, "SELECT last FROM writers WHERE writer = $1", b.Writer).Scan(&last); err != nil {
		return false, err
	}
	if b.Last > last {
		return false, fmt.Errorf("a batch of usage has the numbers %d to %d, and those up to %d are stored already: ask Stored before a batch is added again", b.First, b.Last, last)
	}
	return false, nil
}

const (
	insertSlots = ` (series_id, start, count, spend_microcents, latency_us, timed, bytes)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
ON CONFLICT (series_id, start) DO UPDATE SET
    count = r.count + excluded.count, spend_microcents = least(r.spend_microcents + excluded.spend_microcents, ` + grouping.MaxSum + `),
    latency_us = least(r.latency_us + excluded.latency_us, ` + grouping.MaxSum + `), timed = r.timed + excluded.timed,
    bytes = least(r.bytes + excluded.bytes, ` + grouping.MaxSum + `)`

	upsertHours = `INSERT INTO hours AS r` + insertSlots
	upsertDays  = `INSERT INTO days AS r` + insertSlots
)

func (a *addition) addSlots(ctx context.Context, upsert string, slots []grouping.Slot) error {
	c := newColumns(7, len(slots))
	for i := range slots {
		m := &slots[i].Measures
		c.add(a.placeOf(slots[i].Series).series, slots[i].Start, m.Count, atMost(m.SpendMicrocents), atMost(m.LatencyMicros), m.Timed, atMost(m.Bytes))
	}
	_, err := a.Exec(ctx, upsert, c.values()...)
	return err
}

// columns are rows of numbers as PostgreSQL takes many at once: an array for each column.
type columns [][]int64

func newColumns(width, rows int) columns {
	c := make(columns, width)
	for i := range c {
		c[i] = make([]int64, 0, rows)
	}
	return c
}

func (c columns) add(row ...int64) {
	for i, value := range row {
		c[i] = append(c[i], value)
	}
}

func (c columns) values() []any {
	all := make([]any, len(c))
	for i := range c {
		all[i] = c[i]
	}
	return all
}
