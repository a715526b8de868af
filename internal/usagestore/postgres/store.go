// Package postgres keeps usage in PostgreSQL: the store of several verifiers, which write to it at once. The tables are
// described in migrations/.
package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/claviger-dev/claviger/internal/usagestore/sqlread"
)

// Options for Open.
type Options struct {
	// URL is as libpq has it: postgres://user@host:5432/database?sslmode=verify-full.
	URL string
	// PasswordFile holds the password, and is read again for each connection; empty: the URL or the
	// environment has it.
	PasswordFile string
	Log          logr.Logger
}

const (
	// Until a server answers, or is tried again.
	connectTimeout = 5 * time.Second
	// What a batch gets, and a question of the feeds. A server that hangs must not be waited for.
	addTimeout  = 30 * time.Second
	readTimeout = 30 * time.Second
	connections = 8
)

// Store is a database. Its methods are safe for concurrent use, by any number of processes.
type Store struct {
	log    logr.Logger
	pool   *pgxpool.Pool
	db     *sql.DB // over the pool
	reader *sqlread.Reader

	migrating sync.Mutex
	migrated  atomic.Bool

	keys       memory[string]
	series     memory[[16]byte]
	partitions sync.Map // days that have one

	idle time.Duration // idleTimeout
	now  func() time.Time
}

// Open makes a Store. It does not connect: the database may be away, and is made or upgraded when it is there.
func Open(ctx context.Context, o Options) (*Store, error) {
	config, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		// The error would repeat the URL, and with it perhaps a password.
		return nil, fmt.Errorf("--usage-url cannot be read: write it as postgres://user@host:5432/database?sslmode=verify-full, with special characters escaped as in URLs")
	}
	config.MaxConns = connections
	config.ConnConfig.ConnectTimeout = connectTimeout
	// Nothing is prepared under a name, which a pooler between would lose.
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	if o.PasswordFile != "" {
		config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
			password, err := os.ReadFile(o.PasswordFile)
			if err != nil {
				return passwordError{err}
			}
			c.Password = strings.TrimRight(string(password), "\r\n")
			return nil
		}
	}
	config.AfterConnect = prepare
	s := &Store{log: o.Log, idle: idleTimeout, now: time.Now}
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, s.explain(err)
	}
	s.db = stdlib.OpenDBFromPool(s.pool)
	s.reader = sqlread.New(s.db, sqlread.PostgreSQL, s.explain)
	return s, nil
}

// Close closes the connections.
func (s *Store) Close() error {
	err := s.db.Close()
	s.pool.Close()
	return err
}

// transaction runs do and commits unless it fails. Only where a commit is not answered it may be that an
// error comes of what was done.
func (s *Store) transaction(ctx context.Context, timeout time.Duration, do func(context.Context, pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := s.ready(ctx); err != nil {
		return err
	}
	return s.explain(s.begin(ctx, func(tx pgx.Tx) error { return do(ctx, tx) }))
}

// The numbers of the advisory locks, which are the database's: there is one schema of ours in it.
const (
	lockMigration = 0x636c6176_0001 + iota
	// lockSeq is held by whoever changes a seq, from then on until its commit: so the numbers come into sight in their
	// order, and a reader who has seen one has seen all before it.
	lockSeq
	lockExpiry
	lockLapse
	lockPartitions
)

func lock(ctx context.Context, tx pgx.Tx, number int64) error {
	_, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", number)
	return err
}

func tryLock(ctx context.Context, tx pgx.Tx, number int64) (ok bool, err error) {
	err = tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1)", number).Scan(&ok)
	return ok, err
}
