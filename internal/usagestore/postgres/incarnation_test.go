package postgres

import (
	"syscall"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/internal/usagestore"
	"github.com/claviger-dev/claviger/test/postgresserver"
)

// loseAll is what is lost with the last commits: rows, and that their numbers were given to somebody.
const loseAll = `DELETE FROM hours; DELETE FROM days; DELETE FROM key_generations; DELETE FROM series; DELETE FROM keys; DELETE FROM usage_groups;
ALTER TABLE keys ALTER id RESTART; ALTER TABLE series ALTER id RESTART`

// addKey adds one request of a key in the workspace of its name until it is stored, as after an outage.
func addKey(t *testing.T, store *Store, writer string, number int64, name string) {
	t.Helper()
	b := changed(writer, number, func(e *usage.Event) { e.Key, e.Workspace = keyid.Derive(name), "team/"+name })
	var err error
	for range 100 {
		if err = store.Add(t.Context(), b); err == nil {
			return
		}
		if last, err := store.Stored(t.Context(), writer); err == nil && last >= number {
			return
		}
	}
	t.Fatal(err)
}

// Whatever happens to the database, the number of a row that was lost with it is not taken for that of another's.
func TestNoRowIsTakenForOneThatWasLost(t *testing.T) {
	for name, incident := range map[string]func(*testing.T, *postgresserver.Server, *Store){
		"another server": func(_ *testing.T, server *postgresserver.Server, _ *Store) {
			server.Do("usage_1", loseAll)
			server.Restart()
		},
		"a process of the server crashes": func(t *testing.T, server *postgresserver.Server, store *Store) {
			server.Do("usage_1", loseAll)
			crash(t, store)
		},
		"the database is restored": func(_ *testing.T, server *postgresserver.Server, _ *Store) {
			server.Do("postgres", "DROP DATABASE usage_1 WITH (FORCE)")
			server.Do("postgres", "CREATE DATABASE usage_1 TEMPLATE backup")
		},
		"the tables are emptied and restored": func(_ *testing.T, server *postgresserver.Server, _ *Store) {
			server.Do("usage_1", "TRUNCATE keys, usage_groups RESTART IDENTITY CASCADE")
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := postgresserver.Start(t)
			url := server.Database()
			first := open(t, url)
			if last, err := first.Stored(t.Context(), "w"); err != nil || last != 0 {
				t.Fatal(last, err)
			}
			first.Close() //nolint:errcheck // a database that somebody is in cannot be copied
			server.Do("postgres", "CREATE DATABASE backup TEMPLATE usage_1")
			store, other := open(t, url), open(t, url)
			addKey(t, store, "w", 1, "lost")
			incident(t, server, store)
			addKey(t, other, "x", 1, "other")
			addKey(t, store, "w", 2, "lost")
			for _, key := range []string{"lost", "other"} {
				tellsOfOne(t, open(t, url), key)
			}
		})
	}
}

// crash ends a process of the server as the kernel does where memory is short, after which the server ends all others and
// starts itself anew. It waits until the server answers.
func crash(t *testing.T, store *Store) {
	t.Helper()
	var pid int
	if err := store.pool.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for {
		var now int
		if err := store.pool.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&now); err == nil && now != pid {
			return
		}
		if t.Context().Err() != nil {
			return
		}
	}
}

// tellsOfOne holds the sums, the hours and the log of a key to one request.
func tellsOfOne(t *testing.T, store *Store, name string) {
	t.Helper()
	id, workspace := keyid.Derive(name).String(), "team/"+name
	page, err := store.Changes(t.Context(), 0, november, func(string) (time.Time, time.Time) { return usagefeed.PeriodStart(november), november })
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]usagefeed.Key{}
	for _, key := range page.Keys {
		told[key.ID] = key
	}
	if key := told[id]; key.Total.Requests != 1 || key.Workspace != workspace {
		t.Errorf("of %s is told %+v", name, key)
	}
	of := usagestore.Filter{Equal: map[usagestore.Dimension][]string{usagestore.ByKey: {id}, usagestore.ByWorkspace: {workspace}}}
	rows, err := store.Sum(t.Context(), &usagestore.Query{From: november.Truncate(time.Hour), To: november.Truncate(time.Hour).Add(time.Hour), Filter: of})
	if err != nil || len(rows) != 1 || rows[0].Requests != 1 {
		t.Errorf("of %s the hour is %+v, %v", name, rows, err)
	}
}

// Rows that somebody deleted, which nobody should, are made anew: not at the next start, but with the next try.
func TestRowsThatWereDeletedAreMadeAnew(t *testing.T) {
	server := postgresserver.Start(t)
	store := open(t, server.Database())
	addKey(t, store, "w", 1, "a")
	server.Do("usage_1", loseAll)
	b := batchAt("w", 2, november)
	if err := store.Add(t.Context(), b); err == nil {
		t.Fatal("what was deleted was found")
	}
	if err := store.Add(t.Context(), b); err != nil {
		t.Errorf("tried again: %v", err)
	}
}
