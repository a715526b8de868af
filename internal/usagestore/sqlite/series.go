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

// known is rows that were seen before, by what they are found by, so that they need not be looked for: none is ever
// deleted.
type known[Name comparable] struct {
	mu   sync.Mutex
	rows map[Name]int64
}

// So many are remembered, in some tens of megabytes.
const remembered = 1 << 19

func (k *known[Name]) row(name Name) (row int64, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	row, ok = k.rows[name]
	return row, ok
}

// keep remembers rows that a transaction has found or made, once it is committed.
func (k *known[Name]) keep(rows map[Name]int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.rows == nil || len(k.rows)+len(rows) > remembered {
		k.rows = make(map[Name]int64, len(rows))
	}
	for name, row := range rows {
		k.rows[name] = row
	}
}

// seriesRows finds the rows of series in a transaction, or makes them.
type seriesRows struct {
	known            *known[grouping.Hash]
	found            map[grouping.Hash]int64
	same             map[*usage.Series]int64 // of this batch, as hours, days and lines are of the same few
	insert, quarters *sql.Stmt
}

func (r *seriesRows) of(ctx context.Context, a *addition, s *usage.Series) (row int64, err error) {
	row, ok := r.same[s]
	if !ok {
		if row, err = r.find(ctx, a, s); err == nil {
			r.same[s] = row
		}
	}
	return row, err
}

func (r *seriesRows) find(ctx context.Context, a *addition, s *usage.Series) (row int64, err error) {
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
