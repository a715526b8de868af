package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

var november = time.Date(2026, time.November, 21, 10, 30, 0, 0, time.UTC)

func open(t *testing.T, path string) *Store {
	t.Helper()
	store, err := Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() }) //nolint:errcheck // some tests close it themselves
	return store
}

func newStore(t *testing.T) *Store {
	return open(t, filepath.Join(t.TempDir(), "usage.db"))
}

func add(t *testing.T, store *Store, events ...usage.Event) {
	t.Helper()
	rollup := usage.NewRollup()
	for _, e := range events {
		put(rollup, e)
	}
	if err := addRollup(store, rollup); err != nil {
		t.Fatal(err)
	}
}

func changes(t *testing.T, store *Store, after int64, now time.Time) usagefeed.Page {
	t.Helper()
	page, err := readChanges(store, after, now)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func only(t *testing.T, page usagefeed.Page) usagefeed.Key {
	t.Helper()
	if len(page.Keys) != 1 {
		t.Fatalf("%d keys changed, want one: %+v", len(page.Keys), page.Keys)
	}
	return page.Keys[0]
}

func TestAKeyIsCountedByAnswerAndShownAsLastUsed(t *testing.T) {
	store := newStore(t)
	reset := november.Add(40 * time.Second)
	limited := event("a", november.Add(time.Second), "RATE_LIMITED")
	limited.Remaining, limited.ResetAt = 0, reset
	add(t, store, event("a", november, "VALID"), event("a", november, "VALID"), limited)

	key := only(t, changes(t, store, 0, november))
	if want := (usagefeed.Counts{Requests: 2, Denied: 1}); key.Total != want || key.Period.Counts != want {
		t.Errorf("total %+v, period %+v, want %+v in both", key.Total, key.Period.Counts, want)
	}
	if key.Workspace != "team/shop" || !key.LastUsedAt.Equal(november.Add(time.Second)) {
		t.Errorf("workspace %s, last used %v", key.Workspace, key.LastUsedAt)
	}
	if key.Remaining == nil || *key.Remaining != 0 || key.ResetAt == nil || !key.ResetAt.Equal(reset) {
		t.Errorf("remaining %v, reset at %v", key.Remaining, key.ResetAt)
	}
}

func TestWithoutALimitNothingRemains(t *testing.T) {
	store := newStore(t)
	limited := event("a", november, "VALID")
	limited.Remaining, limited.ResetAt = 7, november.Add(time.Minute)
	add(t, store, limited)
	add(t, store, event("a", november.Add(time.Second), "VALID"))
	key := only(t, changes(t, store, 0, november))
	if key.Remaining != nil || key.ResetAt != nil {
		t.Errorf("remaining %v, reset at %v, want neither", key.Remaining, key.ResetAt)
	}
}

func TestAnEarlierUseThatIsStoredLateDoesNotReplaceTheLast(t *testing.T) {
	store := newStore(t)
	newest := event("a", november, "VALID")
	newest.Remaining, newest.ResetAt = 3, november.Add(time.Minute)
	add(t, store, newest)
	add(t, store, event("a", november.Add(-time.Minute), "VALID"))
	key := only(t, changes(t, store, 0, november))
	if !key.LastUsedAt.Equal(november) || key.Remaining == nil || *key.Remaining != 3 || key.ResetAt == nil {
		t.Errorf("the last use reads %+v", key)
	}
	if key.Total.Requests != 2 {
		t.Errorf("%d requests in total, want 2", key.Total.Requests)
	}
}

func TestThePeriodIsTheMonthAskedFor(t *testing.T) {
	const month = time.Hour * 24 * 31
	december := time.Date(2026, time.December, 1, 0, 0, 0, 0, time.UTC)
	last := december.Add(-time.Nanosecond)
	tests := map[string]struct {
		uses []time.Time
		now  time.Time
		want int64
	}{
		"a use in the month counts":                        {[]time.Time{november}, november, 1},
		"the last moment of a month is not of the next":    {[]time.Time{last}, december, 0},
		"the first moment of a month is of it":             {[]time.Time{last, december}, december, 1},
		"an idle key has nothing in a new month":           {[]time.Time{november, november}, november.Add(month), 0},
		"a late use of the month before is not of this":    {[]time.Time{december, november}, december, 1},
		"a month long ago does not come back a year after": {[]time.Time{november}, november.AddDate(1, 0, 0), 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			store := newStore(t)
			for _, at := range test.uses {
				add(t, store, event("a", at, "VALID"))
			}
			key := only(t, changes(t, store, 0, test.now))
			if key.Period.Requests != test.want || !key.Period.Start.Equal(usagefeed.PeriodStart(test.now)) {
				t.Errorf("period %+v, want %d requests", key.Period, test.want)
			}
			if key.Total.Requests != int64(len(test.uses)) {
				t.Errorf("%d requests in total, want %d", key.Total.Requests, len(test.uses))
			}
		})
	}
}

func TestOnlyWhatChangedIsTold(t *testing.T) {
	store := newStore(t)
	add(t, store, event("a", november, "VALID"), event("b", november, "VALID"))
	first := changes(t, store, 0, november)
	if len(first.Keys) != 2 {
		t.Fatalf("%d keys changed at first, want 2", len(first.Keys))
	}
	if again := changes(t, store, first.Next, november); len(again.Keys) != 0 || again.Next != first.Next {
		t.Errorf("nothing happened, and yet: %+v", again)
	}
	add(t, store, event("a", november, "VALID"))
	second := changes(t, store, first.Next, november)
	if key := only(t, second); key.ID != keyid.Derive("a").String() || key.Total.Requests != 2 {
		t.Errorf("changed: %+v, want a with 2 requests", key)
	}
	if second.Next <= first.Next {
		t.Errorf("next went from %d to %d", first.Next, second.Next)
	}
}

func TestManyKeysComeInPagesAndEachOnce(t *testing.T) {
	store := newStore(t)
	const keys = usagefeed.PageSize + 500
	rollup := usage.NewRollup()
	for i := range keys {
		put(rollup, event(fmt.Sprintf("key-%d", i), november, "VALID"))
	}
	if err := addRollup(store, rollup); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	var after int64
	for {
		page := changes(t, store, after, november)
		if len(page.Keys) > usagefeed.PageSize {
			t.Fatalf("%d keys on a page", len(page.Keys))
		}
		for _, key := range page.Keys {
			seen[key.ID] = true
		}
		if page.Next == after {
			break
		}
		after = page.Next
	}
	if len(seen) != keys {
		t.Errorf("%d different keys, want %d", len(seen), keys)
	}
}

func TestTheEpochChangesWithTheMonthAndWithTheStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "usage.db")
	store := open(t, path)
	epoch := changes(t, store, 0, november).Epoch
	if same := changes(t, store, 0, november.Add(time.Hour)).Epoch; same != epoch {
		t.Errorf("the epoch went from %s to %s within an hour", epoch, same)
	}
	if next := changes(t, store, 0, november.AddDate(0, 1, 0)).Epoch; next == epoch {
		t.Errorf("a new month is still epoch %s", epoch)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if reopened := changes(t, open(t, path), 0, november).Epoch; reopened == epoch {
		t.Errorf("a reopened store is still epoch %s", epoch)
	}
}

func TestCountsOutliveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "with space & 100%?.db")
	store := open(t, path)
	add(t, store, event("a", november, "VALID"))
	before := changes(t, store, 0, november)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the database is not where it was asked for: %v", err)
	}
	store = open(t, path)
	add(t, store, event("a", november, "VALID"))
	page := changes(t, store, 0, november)
	if key := only(t, page); key.Total.Requests != 2 || page.Next <= before.Next {
		t.Errorf("after a restart: %+v, next %d after %d", key, page.Next, before.Next)
	}
}

func TestHoursAreKeptForThirteenMonths(t *testing.T) {
	store := newStore(t)
	oldestKept := time.Date(2025, time.October, 1, 0, 0, 0, 0, time.UTC)
	add(t, store,
		event("a", oldestKept.Add(-time.Hour), "VALID"), event("a", oldestKept.Add(-time.Hour), "KEY_EXPIRED"),
		event("a", oldestKept, "VALID"), event("a", november.AddDate(0, -1, 0), "VALID"), event("a", november, "VALID"))
	if err := store.Expire(context.Background(), november, keepsAll); err != nil {
		t.Fatal(err)
	}
	if got, want := hourlyRows(t, store), "2025-10-01T00 VALID 1, 2026-10-21T10 VALID 1, 2026-11-21T10 VALID 1"; got != want {
		t.Errorf("kept %s, want %s", got, want)
	}
	if key := only(t, changes(t, store, 0, november)); key.Total.Requests != 4 {
		t.Errorf("%d requests in total after hours expired, want 4", key.Total.Requests)
	}
}

func hourlyRows(t *testing.T, store *Store) string {
	t.Helper()
	rows, err := store.reader.Query("SELECT start, iif(status = 'allowed', 'VALID', error) AS code, count FROM hourly_usage ORDER BY start, code")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // a test
	var lines []string
	for rows.Next() {
		var hour, count int64
		var code string
		if err := rows.Scan(&hour, &code, &count); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%s %s %d", time.Unix(hour, 0).UTC().Format("2006-01-02T15"), code, count))
	}
	return strings.Join(lines, ", ")
}

func TestWhatCannotBeOpenedSaysWhatToDo(t *testing.T) {
	folder := t.TempDir()
	garbage := filepath.Join(folder, "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ path, says string }{
		"a file that is no database":   {garbage, "move it"},
		"a folder that does not exist": {filepath.Join(folder, "missing", "usage.db"), "its folder must exist"},
		"a folder in place of a file":  {folder, "its folder must exist"},
		"a file in place of a folder":  {filepath.Join(garbage, "usage.db"), "its folder must exist"},
		"a database of later versions": {newer(t, folder), "upgrade Claviger"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			store, err := Open(context.Background(), test.path)
			if err == nil {
				store.Close() //nolint:errcheck // the test fails
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), test.path) {
				t.Errorf("the error reads %q, want %q and the path in it", err, test.says)
			}
		})
	}
}

func newer(t *testing.T, folder string) string {
	t.Helper()
	path := filepath.Join(folder, "newer.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // a test
	if _, err := db.Exec("PRAGMA user_version = 1000"); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestADamagedPageIsReportedAndTheRollUpNotHalfAdded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "usage.db")
	store := open(t, path)
	rollup := usage.NewRollup()
	for i := range 2000 {
		put(rollup, event(fmt.Sprintf("key-%d", i), november, "VALID"))
	}
	if err := addRollup(store, rollup); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	overwriteAllButTheFirstPages(t, path)
	store = open(t, path)
	if err := addRollup(store, rollup); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("adding to a damaged database: %v", err)
	}
}

func overwriteAllButTheFirstPages(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 40 * 4096; i < len(content); i++ { // behind the tables' own description
		content[i] = 0xa5
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
