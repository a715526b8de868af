package postgres

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
)

// Each file of migrations/ brings the schema from the version before to the next; its
// number in the order of names is the version, kept in claviger_schema. A file that
// was released is never changed.
//
//go:embed migrations/*.sql
var migrations embed.FS

// errNewer says that a later Claviger wrote the database.
type errNewer struct{ have, known int }

func (e errNewer) Error() string {
	return fmt.Sprintf("its schema has version %d and this Claviger knows versions up to %d", e.have, e.known)
}

// ready makes or upgrades the tables, once the database is there.
func (s *Store) ready(ctx context.Context) error {
	if s.migrated.Load() {
		return nil
	}
	s.migrating.Lock()
	defer s.migrating.Unlock()
	if s.migrated.Load() {
		return nil
	}
	if err := s.begin(ctx, func(tx pgx.Tx) error { return migrate(ctx, tx) }); err != nil {
		return s.explain(err)
	}
	s.migrated.Store(true)
	return nil
}

// migrate runs what is missing, all of it or nothing. Of several verifiers one does it, and the others wait.
func migrate(ctx context.Context, tx pgx.Tx) error {
	if err := lock(ctx, tx, lockMigration); err != nil {
		return err
	}
	var there bool
	if err := tx.QueryRow(ctx, "SELECT to_regclass('claviger_schema') IS NOT NULL").Scan(&there); err != nil {
		return err
	}
	if !there {
		if _, err := tx.Exec(ctx, "CREATE TABLE claviger_schema (version integer NOT NULL)"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "INSERT INTO claviger_schema VALUES (0)"); err != nil {
			return err
		}
	}
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	var version int
	if err := tx.QueryRow(ctx, "SELECT version FROM claviger_schema").Scan(&version); err != nil {
		return err
	}
	if version > len(files) {
		return errNewer{have: version, known: len(files)}
	}
	for _, file := range files[version:] {
		statements, err := migrations.ReadFile(file)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, string(statements), pgx.QueryExecModeSimpleProtocol); err != nil {
			return fmt.Errorf("migration %s: %w", file, err)
		}
	}
	_, err = tx.Exec(ctx, "UPDATE claviger_schema SET version = $1", len(files))
	return err
}
