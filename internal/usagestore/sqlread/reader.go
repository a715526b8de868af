// Package sqlread answers questions about usage out of the tables that SQLite and PostgreSQL have in common.
package sqlread

import (
	"context"
	"database/sql"
	"errors"

	"github.com/claviger-dev/claviger/internal/keyid"
)

// Dialect is how a database is spoken to.
type Dialect uint8

// The dialects.
const (
	SQLite Dialect = iota
	PostgreSQL
)

// Reader implements usagestore.Reader.
type Reader struct {
	db      *sql.DB
	dialect Dialect
	explain func(error) error
}

// New makes a Reader. What goes wrong goes through explain.
func New(db *sql.DB, dialect Dialect, explain func(error) error) *Reader {
	return &Reader{db, dialect, explain}
}

// Owner implements usagestore.Reader.
func (r *Reader) Owner(ctx context.Context, key keyid.ID) (workspace string, found bool, err error) {
	b := builder{dialect: r.dialect}
	err = r.db.QueryRowContext(ctx, "SELECT workspace FROM keys WHERE key = "+b.value(key.String()), b.values...).Scan(&workspace)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return workspace, err == nil, r.explain(err)
}

// each hands over the rows of a query, until one is not taken.
func (r *Reader) each(ctx context.Context, text string, values []any, take func(*sql.Rows) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	rows, err := r.db.QueryContext(ctx, text, values...)
	if err != nil {
		return r.explain(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	for rows.Next() {
		if err := take(rows); err != nil {
			stop() // closing them would read all that are left
			return err
		}
	}
	return r.explain(rows.Err())
}
