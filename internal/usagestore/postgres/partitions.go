package postgres

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagestore/grouping"
)

// daysOf are the days that a batch has lines on, in Unix seconds.
func daysOf(b *usage.Batch) (days []int64) {
	add := func(events []usage.Event) {
		for i := range events {
			if day := usage.DayStart(events[i].At.Unix()); events[i].KeepLine > 0 && !slices.Contains(days, day) {
				days = append(days, day)
			}
		}
	}
	add(b.Lines)
	add(b.Reports)
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

var lineColumns = []string{"at_us", "key_id", "series_id", "request_id", "http_status", "spend_microcents", "latency_us", "bytes", "expires"}

// copyLines copies lines into the log.
func (a *addition) copyLines(ctx context.Context, lines []usage.Event) error {
	if len(lines) == 0 {
		return nil
	}
	// The lines of a key lie beside each other in the index: so a batch goes into fewer places of that.
	order := make([]int, len(lines))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(bytes.Compare(lines[a].Key[:], lines[b].Key[:]), cmp.Compare(a, b)) })
	// Most lines of a batch are of few series: those are found in a fraction of the time that a hash takes.
	rows := map[usage.Series]int64{}
	keys := map[[16]byte]int64{}
	_, err := a.CopyFrom(ctx, pgx.Identifier{"log"}, lineColumns, pgx.CopyFromSlice(len(lines), func(i int) ([]any, error) {
		e := &lines[order[i]]
		series := usage.SeriesOf(e)
		row, ok := rows[series]
		if !ok {
			row = a.series[grouping.HashOf(&series)]
			rows[series], keys[e.Key] = row, a.keys[e.Key.String()]
		}
		return []any{
			e.At.UnixMicro(), keys[e.Key], row, e.RequestID, int32(e.HTTPStatus), e.SpendMicrocents, e.Latency.Microseconds(), e.Bytes,
			int32(usage.DayStart(e.At.Add(e.KeepLine).Unix()) / usage.Day),
		}, nil
	}))
	return err
}
