package sqlite

import (
	"context"
	"database/sql"
	"sync"

	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagestore/grouping"
)

const insertSeries = `
INSERT INTO series (hash, key_id, ` + grouping.Columns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (hash) DO UPDATE SET hash = hash
RETURNING id`

const markQuarters = `UPDATE series SET quarters = 1 WHERE id = ? AND quarters = 0`

// knownSeries are rows of series that were seen before, so that they need not be looked for: none is ever deleted.
type knownSeries struct {
	mu   sync.Mutex
	rows map[grouping.Hash]int64
}

// So many are remembered, in some tens of megabytes.
const rememberedSeries = 1 << 19

func (k *knownSeries) row(hash grouping.Hash) (row int64, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	row, ok = k.rows[hash]
	return row, ok
}

// keep remembers rows that a transaction has made, once it is committed.
func (k *knownSeries) keep(rows map[grouping.Hash]int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.rows == nil || len(k.rows)+len(rows) > rememberedSeries {
		k.rows = make(map[grouping.Hash]int64, len(rows))
	}
	for hash, row := range rows {
		k.rows[hash] = row
	}
}

// seriesRows finds the rows of series in a transaction, or makes them.
type seriesRows struct {
	known            *knownSeries
	found            map[grouping.Hash]int64
	insert, quarters *sql.Stmt
}

func (r *seriesRows) of(ctx context.Context, a *addition, s *usage.Series) (row int64, err error) {
	hash := grouping.HashOf(s)
	if row, ok := r.known.row(hash); ok {
		return row, nil
	}
	if row, ok := r.found[hash]; ok {
		return row, nil
	}
	values := append(make([]any, 0, 13), hash[:], a.keys[s.Key])
	for _, text := range grouping.Texts(s) {
		values = append(values, text)
	}
	if err := r.insert.QueryRowContext(ctx, values...).Scan(&row); err != nil {
		return 0, err
	}
	r.found[hash] = row
	return row, nil
}
