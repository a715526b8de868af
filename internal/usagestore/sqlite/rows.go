package sqlite

import (
	"context"
	"database/sql"
	"strings"
)

// So many rows are written by one statement: it is what each costs beside its values.
const rowsAtOnce = 50

// rows writes many rows, of as many values each, with few statements.
type rows struct {
	tx            *sql.Tx
	before, after string // of a statement, around the places of the values
	width         int
	many          *sql.Stmt
	values        []any
}

func newRows(tx *sql.Tx, before, after string, width int) *rows {
	return &rows{tx: tx, before: before, after: after, width: width, values: make([]any, 0, rowsAtOnce*width)}
}

func (r *rows) statement(rows int) string {
	row := "(?" + strings.Repeat(", ?", r.width-1) + ")"
	return r.before + row + strings.Repeat(", "+row, rows-1) + r.after
}

// add writes a row, at the latest with flush.
func (r *rows) add(ctx context.Context, values ...any) (err error) {
	r.values = append(r.values, values...)
	if len(r.values) < rowsAtOnce*r.width {
		return nil
	}
	if r.many == nil {
		if r.many, err = r.tx.PrepareContext(ctx, r.statement(rowsAtOnce)); err != nil {
			return err
		}
	}
	_, err = r.many.ExecContext(ctx, r.values...)
	r.values = r.values[:0]
	return err
}

func (r *rows) flush(ctx context.Context) error {
	if len(r.values) == 0 {
		return nil
	}
	_, err := r.tx.ExecContext(ctx, r.statement(len(r.values)/r.width), r.values...)
	r.values = r.values[:0]
	return err
}
