package sqlite

import (
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/claviger-dev/claviger/internal/usagestore"
)

// explain adds to an error of SQLite what a person can do about it.
func (s *Store) explain(err error) error {
	if err == nil {
		return nil
	}
	var newer errNewer
	if errors.As(err, &newer) {
		return fmt.Errorf("usage database %s was written by a newer Claviger (%w): upgrade Claviger, or name another file with --usage-db", s.path, err)
	}
	var failure *driver.Error
	if !errors.As(err, &failure) {
		return fmt.Errorf("usage database %s: %w", s.path, err)
	}
	switch failure.Code() {
	case codes.SQLITE_CONSTRAINT_DATATYPE, codes.SQLITE_CONSTRAINT_NOTNULL, codes.SQLITE_CONSTRAINT_CHECK, codes.SQLITE_TOOBIG:
		return fmt.Errorf("%w: usage database %s: %w", usagestore.ErrUnstorable, s.path, err)
	}
	// The lower byte is the primary code, the rest tells variants of it apart.
	switch failure.Code() & 0xff {
	case codes.SQLITE_NOTADB, codes.SQLITE_CORRUPT:
		return fmt.Errorf("usage database %s is damaged or is no SQLite database (%w): move it and its -wal and -shm files aside, or restore a copy, and start again; without it usage and what is used of the limits are counted from zero, and keys are not affected", s.path, err)
	case codes.SQLITE_CANTOPEN, codes.SQLITE_READONLY, codes.SQLITE_PERM, codes.SQLITE_AUTH:
		return fmt.Errorf("usage database %s cannot be written (%w): its folder must exist and, like the file, be writable for the verifier's user, or name another file with --usage-db", s.path, err)
	case codes.SQLITE_FULL:
		return fmt.Errorf("usage database %s cannot grow (%w): make room on its volume", s.path, err)
	case codes.SQLITE_BUSY, codes.SQLITE_LOCKED:
		return fmt.Errorf("usage database %s is being written by another program (%w): only one verifier may use it", s.path, err)
	}
	return fmt.Errorf("usage database %s: %w", s.path, err)
}
