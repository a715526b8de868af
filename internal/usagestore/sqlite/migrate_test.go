package sqlite

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

func TestADatabaseOfTheFirstVersionIsBroughtUpToDate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "usage.db")
	writeFirstVersion(t, path)
	store := open(t, path)
	key := only(t, changes(t, store, 0, november))
	if key.Total.Requests != 3 || key.BudgetRemaining != nil || key.Exhausted != nil {
		t.Errorf("of a key of before is told %+v", key)
	}
	add(t, store, exhausted("a", "l", november, november.Add(time.Hour)))
	if key := only(t, changes(t, store, 0, november)); key.Exhausted == nil || key.Total != (usagefeed.Counts{Requests: 3, Denied: 1}) {
		t.Errorf("once it was refused is told %+v", key)
	}
}

// writeFirstVersion makes a database as the first released version would, with three requests of the key a.
func writeFirstVersion(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // a test
	schema, err := migrations.ReadFile("migrations/0001_usage.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{string(schema), "PRAGMA user_version = 1"} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	_, err = db.Exec("INSERT INTO keys (key, workspace, seq, requests, denied, month, month_requests, month_denied, last_used_ms) VALUES (?, 'team/shop', 1, 3, 0, ?, 3, 0, ?)",
		keyid.Derive("a").String(), usagefeed.PeriodStart(november).Unix(), november.UnixMilli())
	if err != nil {
		t.Fatal(err)
	}
}
