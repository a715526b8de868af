package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

// A chunk is deleted in some ten milliseconds.
const deleteChunk = 5000

// All of it: it may be much the first time.
const expireTimeout = 30 * time.Minute

// Expire implements usagestore.Store. Of several verifiers one does it at a time. Against a clock that leaped sums are
// guarded as in package sqlite.
func (s *Store) Expire(ctx context.Context, now time.Time, keep usagestore.Keep) error {
	return s.transaction(ctx, expireTimeout, func(ctx context.Context, tx pgx.Tx) error {
		// This transaction only holds the lock: what is deleted is so in short ones of their own.
		if mine, err := tryLock(ctx, tx, lockExpiry); err != nil || !mine {
			return err
		}
		if _, err := tx.Exec(ctx, idling(expireTimeout+time.Minute)); err != nil {
			return err
		}
		if err := s.expireSums(ctx, now); err != nil {
			return err
		}
		if err := s.inChunks(ctx, "reports", "at_s < $1", now.Add(-usagestore.ReportsKept).Unix()); err != nil {
			return err
		}
		return s.expireLog(ctx, now, keep)
	})
}

func (s *Store) expireSums(ctx context.Context, now time.Time) error {
	month := usagefeed.PeriodStart(now)
	var credible bool
	err := s.pool.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM hours WHERE start >= $1 AND start < $2)", month.AddDate(0, -1, 0).Unix(), month.Unix()).Scan(&credible)
	if err != nil || !credible {
		return err
	}
	if err := s.inChunks(ctx, "hours", "start < $1", usagestore.HoursSince(now).Unix()); err != nil {
		return err
	}
	return s.inChunks(ctx, "days", "start < $1", usagestore.DaysSince(now).Unix())
}

// inChunks deletes what meets a condition.
func (s *Store) inChunks(ctx context.Context, table, condition string, values ...any) error {
	statement := fmt.Sprintf("DELETE FROM %[1]s WHERE ctid = ANY (ARRAY(SELECT t.ctid FROM %[1]s t WHERE %[2]s LIMIT %[3]d))", table, condition, deleteChunk)
	for {
		done, err := s.pool.Exec(ctx, statement, values...)
		if err != nil || done.RowsAffected() < deleteChunk {
			return err
		}
	}
}

// expireLog drops partitions in which no line is to be kept, and deletes the lines among those to be kept that are not.
func (s *Store) expireLog(ctx context.Context, now time.Time, keep usagestore.Keep) error {
	today := usage.DayStart(now.Unix()) / usage.Day
	workspaces, before, err := s.shortened(ctx, now, keep)
	if err != nil {
		return err
	}
	names, err := s.partitionNames(ctx)
	if err != nil {
		return err
	}
	const over = `t.expires < $1 OR EXISTS (
    SELECT 1 FROM series s JOIN unnest($2::text[], $3::bigint[]) AS w (workspace, before) ON w.workspace = s.workspace WHERE s.id = t.series_id AND t.at_us < w.before)`
	for _, name := range names {
		if err := s.inChunks(ctx, name, over, today, workspaces, before); err != nil {
			return err
		}
		if day, err := time.Parse("20060102", strings.TrimPrefix(name, partitionPrefix)); err != nil || !day.AddDate(0, 0, 2).Before(now) {
			continue // lines may come to it yet
		}
		if err := s.dropEmpty(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// shortened are the workspaces that keep lines for a certain time now, and since when.
func (s *Store) shortened(ctx context.Context, now time.Time, keep usagestore.Keep) (workspaces []string, before []int64, err error) {
	workspaces, before = []string{}, []int64{}
	rows, err := s.pool.Query(ctx, "SELECT name FROM usage_groups WHERE kind = $1", usagefeed.KindWorkspace)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var workspace string
		if err := rows.Scan(&workspace); err != nil {
			return nil, nil, err
		}
		if kept, known := keep(workspace); known {
			workspaces, before = append(workspaces, workspace), append(before, now.Add(-kept).UnixMicro())
		}
	}
	return workspaces, before, rows.Err()
}

func (s *Store) partitionNames(ctx context.Context) (names []string, err error) {
	rows, err := s.pool.Query(ctx, "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'log'::regclass ORDER BY 1")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// dropEmpty drops a partition with no line in it. It waits for nobody who is at it: there is another time.
func (s *Store) dropEmpty(ctx context.Context, name string) error {
	return s.begin(ctx, func(tx pgx.Tx) error {
		var any bool
		if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM "+name+")").Scan(&any); err != nil || any {
			return err
		}
		if err := lock(ctx, tx, lockPartitions); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '2s'"); err != nil {
			return err
		}
		// The log first, as whoever reads or writes it locks it before its partitions.
		if _, err := tx.Exec(ctx, "LOCK TABLE ONLY log, "+name+" IN ACCESS EXCLUSIVE MODE"); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM "+name+")").Scan(&any); err != nil || any {
			return err
		}
		_, err := tx.Exec(ctx, "DROP TABLE "+name)
		return err
	})
}
