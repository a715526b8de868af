// Package sqlite keeps usage in one SQLite file: the store of a single verifier, with
// nothing else to install. The tables are described in migrations/.
package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the database/sql driver

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usagestore/grouping"
	"github.com/claviger-dev/claviger/internal/usagestore/sqlread"
)

// Store is an open database. Its methods are safe for concurrent use; writes happen one
// after the other.
type Store struct {
	path    string
	session string
	// SQLite has one writer at a time. Readers have connections of their own, so that a
	// slow query never holds up a flush.
	writer, reader *sql.DB
	*sqlread.Reader
	series known[grouping.Hash]
	keys   known[keyid.ID]
}

// Questions and exports that are answered at once, and the feeds.
const readers = 8

// Open opens the database at path and makes or upgrades it as needed. The error says what
// to do about it.
func Open(ctx context.Context, path string) (*Store, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("usage database %s: %w", path, err)
	}
	s := &Store{path: absolute, session: rand.Text()}
	if s.writer, err = connect(absolute, 1, "immediate", "rwc"); err != nil {
		return nil, s.explain(err)
	}
	if s.reader, err = connect(absolute, readers, "deferred", "ro"); err != nil {
		return nil, s.explain(err)
	}
	s.Reader = sqlread.New(s.reader, sqlread.SQLite, s.explain)
	if err := migrate(ctx, s.writer); err != nil {
		s.Close() //nolint:errcheck // the first error is the one to report
		return nil, s.explain(err)
	}
	return s, nil
}

// Close closes the database. What was added is on disk before that.
func (s *Store) Close() error {
	readerErr := s.reader.Close()
	if err := s.writer.Close(); err != nil {
		return s.explain(err)
	}
	return readerErr
}

// connect does not open a connection yet: the first query does. In WAL mode with
// synchronous=NORMAL a transaction survives the death of the process; a power cut may take
// the last ones, and never damages the file.
func connect(path string, connections int, begin, mode string) (*sql.DB, error) {
	query := url.Values{
		"mode":    {mode},
		"_txlock": {begin},
		"_pragma": {"busy_timeout(5000)", "synchronous(NORMAL)", "cache_size(-65536)", "temp_store(MEMORY)"},
	}
	if mode != "ro" {
		query.Add("_pragma", "journal_mode(WAL)")
		query.Add("_pragma", "wal_autocheckpoint(16384)")
	}
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// transaction runs do on the writing connection and commits unless it fails.
func (s *Store) transaction(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
