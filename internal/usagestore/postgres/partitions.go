package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/claviger-dev/claviger/internal/usage"
)

// daysOf are the days that a batch has lines on, in Unix seconds.
func daysOf(b *usage.Batch) (days []int64) {
	add := func(at time.Time) {
		if day := usage.DayStart(at.Unix()); !slices.Contains(days, day) {
			days = append(days, day)
		}
	}
	for i := range b.Lines {
		add(b.Lines[i].At)
	}
	for i := range b.Reports {
		if b.Reports[i].KeepLine > 0 {
			add(b.Reports[i].At)
		}
	}
	slices.Sort(days)
	return days
}

// makePartitions makes those of the log that are missing. Each is made as a table of its own and then attached, which
// holds up neither readers nor writers.
func (s *Store) makePartitions(ctx context.Context, days []int64) error {
	for _, day := range days {
		if _, ok := s.partitions.Load(day); ok {
			continue
		}
		err := s.transaction(ctx, addTimeout, func(ctx context.Context, tx pgx.Tx) error { return makePartition(ctx, tx, day) })
		if err != nil {
			return err
		}
		s.partitions.Store(day, true)
	}
	return nil
}

// noPartition says whether an error is that a row has no partition to go to (check_violation, as PostgreSQL has it).
func noPartition(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && answer.Code == checkViolation && answer.ConstraintName == ""
}

const partitionPrefix = "log_"

func partitionOf(day int64) string { return partitionPrefix + usage.Time(day).Format("20060102") }

func makePartition(ctx context.Context, tx pgx.Tx, day int64) error {
	if err := lock(ctx, tx, lockPartitions); err != nil {
		return err
	}
	name := partitionOf(day)
	var there bool
	if err := tx.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", name).Scan(&there); err != nil || there {
		return err
	}
	const second = int64(time.Second / time.Microsecond)
	statements := fmt.Sprintf(`CREATE TABLE %[1]s (LIKE log INCLUDING DEFAULTS INCLUDING INDEXES);
ALTER TABLE log ATTACH PARTITION %[1]s FOR VALUES FROM (%[2]d) TO (%[3]d)`, name, day*second, (day+usage.Day)*second)
	_, err := tx.Exec(ctx, statements, pgx.QueryExecModeSimpleProtocol)
	return err
}
