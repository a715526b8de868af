package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
)

// Each file of migrations/ brings the schema from the version before to the next; its
// number in the order of names is the version, kept in PRAGMA user_version. A file that
// was released is never changed.
//
//go:embed migrations/*.sql
var migrations embed.FS

// errNewer says that a later Claviger wrote the database.
type errNewer struct{ have, known int }

func (e errNewer) Error() string {
	return fmt.Sprintf("its schema has version %d and this Claviger knows versions up to %d", e.have, e.known)
}

func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	for {
		done, err := migrateOnce(ctx, db, files)
		if err != nil || done {
			return err
		}
	}
}

// migrateOnce runs the next migration in a transaction of its own, so that a crash leaves
// either all of it or nothing.
func migrateOnce(ctx context.Context, db *sql.DB, files []string) (done bool, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return false, err
	}
	if version > len(files) {
		return false, errNewer{have: version, known: len(files)}
	}
	if version == len(files) {
		return true, nil
	}
	statements, err := migrations.ReadFile(files[version])
	if err != nil {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, string(statements)); err != nil {
		return false, fmt.Errorf("migration %s: %w", files[version], err)
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version+1)); err != nil {
		return false, err
	}
	return false, tx.Commit()
}
