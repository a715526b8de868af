package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// explain adds to an error of PostgreSQL what a person can do about it. What connecting failed with is told by its
// kind alone: the driver's text has the user, the database and the host in it.
func (s *Store) explain(err error) error {
	if err == nil {
		return nil
	}
	var newer errNewer
	if errors.As(err, &newer) {
		return fmt.Errorf("the usage database was written by a newer Claviger (%w): upgrade Claviger, or name another database with --usage-url", err)
	}
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return explainAnswer(answer)
	}
	var connecting *pgconn.ConnectError
	var network net.Error
	var password passwordError
	switch {
	case errors.As(err, &password):
		return password
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the usage database does not answer in time; it is tried again (%w)", context.DeadlineExceeded)
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &connecting):
		return fmt.Errorf("the usage database cannot be reached: %s; see that the server runs, and that --usage-url has the right host and port", kindOf(connecting))
	case errors.As(err, &network):
		return fmt.Errorf("the connection to the usage database broke: %w", network)
	}
	return fmt.Errorf("usage database: %w", err)
}

// passwordError is that there is no password to connect with.
type passwordError struct{ error }

func (e passwordError) Error() string {
	return fmt.Sprintf("--usage-password-file cannot be read: %v", e.error)
}

func (e passwordError) Unwrap() error { return e.error }

// kindOf is what failed in connecting, without the names of anything.
func kindOf(err error) string {
	var operation *net.OpError
	var name *net.DNSError
	switch {
	case errors.As(err, &name):
		return "its host's name is not known"
	case errors.As(err, &operation):
		return operation.Err.Error()
	}
	return "it does not speak as expected"
}

// isRefused says whether it is data that a statement was refused for. Of what violates a check it is not said that a row has no
// partition to go to: that has no constraint's name, and is mended by noPartition.
func isRefused(err error) bool {
	var answer *pgconn.PgError
	if !errors.As(err, &answer) {
		return false
	}
	return strings.HasPrefix(answer.Code, "22") || answer.Code == checkViolation && answer.ConstraintName != ""
}

// noRow says whether an error is that a row refers to one that is not there (foreign_key_violation).
func noRow(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && answer.Code == "23503"
}

const checkViolation = "23514"

// told is an answer of the server, in its own words. Its details may have a row in them, and are left out.
type told struct{ *pgconn.PgError }

func (t *told) Error() string { return fmt.Sprintf("%s (SQLSTATE %s)", t.Message, t.Code) }

func (t *told) Unwrap() error { return t.PgError }

// explainAnswer explains what the server said, by its SQLSTATE (PostgreSQL's manual, appendix A).
func explainAnswer(e *pgconn.PgError) error {
	what := &told{e}
	if len(e.Code) != 5 {
		return fmt.Errorf("usage database: %w", what)
	}
	switch {
	case e.Code == "28P01" || e.Code == "28000":
		return fmt.Errorf("the usage database refuses the user or the password (SQLSTATE %s): check --usage-url and --usage-password-file", e.Code)
	case e.Code == "3D000":
		return fmt.Errorf("there is no such usage database (SQLSTATE %s): create it, as tables are made by Claviger and databases are not", e.Code)
	case e.Code == "42501":
		return fmt.Errorf("the usage database lets its user not do that: %w: grant CREATE on the schema, and let Claviger own its tables", what)
	case e.Code == "25006":
		return fmt.Errorf("the usage database takes no writes: %w: it is a standby; point --usage-url at the primary, or add target_session_attrs=read-write", what)
	case e.Code == "53100":
		return fmt.Errorf("the usage database's disk is full: %w: make room there", what)
	case e.Code == "53300":
		return fmt.Errorf("the usage database has no connection left: %w: raise its max_connections, or put a pooler before it", what)
	case e.Code[:2] == "57":
		return fmt.Errorf("the usage database is shutting down or starting; it is tried again: %w", what)
	}
	return fmt.Errorf("usage database: %w", what)
}
