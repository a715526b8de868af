package postgres

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/internal/usagestore"
	"github.com/claviger-dev/claviger/test/postgresserver"
)

var november = time.Date(2026, time.November, 21, 10, 30, 0, 0, time.UTC)

// batchAt is a batch with a line at each of some moments.
func batchAt(writer string, number int64, at ...time.Time) *usage.Batch {
	b := usage.NewBatch(writer, number)
	for _, at := range at {
		e := usage.Event{
			Key: keyid.Derive("a"), Attribution: usage.Attribution{Workspace: "team/shop"}, At: at, PeriodStart: usagefeed.PeriodStart(at),
			KeepLine: 24 * time.Hour, Remaining: usage.NoLimit, BudgetRemaining: usage.NoLimit,
		}
		b.Add(&e, nil)
	}
	return b
}

func nothingKnown(string) (time.Duration, bool) { return 0, false }

// Several verifiers come to an empty database at once: one makes the tables, and all can write.
func TestManyAtOnceMakeTheTablesOnce(t *testing.T) {
	url := postgresserver.Start(t).Database()
	var adding sync.WaitGroup
	for _, writer := range []string{"a", "b", "c", "d"} {
		store := open(t, url)
		adding.Go(func() {
			if err := store.Add(t.Context(), batchAt(writer, 1, november)); err != nil {
				t.Error(err)
			}
		})
	}
	adding.Wait()
	page, err := open(t, url).Changes(t.Context(), 0, november, func(string) (time.Time, time.Time) { return november, november })
	if err != nil || len(page.Keys) != 1 || page.Keys[0].Total.Requests != 4 || !page.Shared {
		t.Errorf("told is %+v, %v", page, err)
	}
}

// Whatever goes wrong in connecting, nobody reads of a password, a user or a host.
func TestErrorsTellWhatToDoAndNoSecret(t *testing.T) {
	server := postgresserver.Start(t)
	url := server.Database()
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("wrong-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		options Options
		want    string
	}{
		"a wrong password":   {Options{URL: strings.Replace(url, postgresserver.Password, "wrong-secret", 1)}, "refuses the user or the password"},
		"one out of a file":  {Options{URL: strings.Replace(url, ":"+postgresserver.Password, "", 1), PasswordFile: password}, "refuses the user or the password"},
		"no such file":       {Options{URL: url, PasswordFile: filepath.Join(dir, "none")}, "--usage-password-file cannot be read"},
		"no such database":   {Options{URL: server.URL("none")}, "there is no such usage database"},
		"nobody listens":     {Options{URL: strings.Replace(url, server.Addr(), "127.0.0.1:1", 1)}, "cannot be reached"},
		"a host without one": {Options{URL: strings.Replace(url, server.Addr(), "no-such-host.invalid:5432", 1)}, "cannot be reached"},
	} {
		store, err := Open(t.Context(), test.options)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		err = store.Add(t.Context(), batchAt("w", 1, november))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		for _, secret := range []string{"secret", postgresserver.Password, "no-such-host"} {
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %v tells of %s", name, err, secret)
			}
		}
		store.Close() //nolint:errcheck // it was never connected
	}
	if _, err := Open(t.Context(), Options{URL: "postgres://user:wrong-secret@host:port/x"}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a URL that is none: %v", err)
	}
}

func TestADatabaseOfALaterVersionIsLeftAlone(t *testing.T) {
	server := postgresserver.Start(t)
	url := server.Database()
	if err := open(t, url).Add(t.Context(), batchAt("w", 1, november)); err != nil {
		t.Fatal(err)
	}
	server.Do("usage_1", "UPDATE claviger_schema SET version = 99")
	if err := open(t, url).Add(t.Context(), batchAt("w", 2, november)); err == nil || !strings.Contains(err.Error(), "newer Claviger") {
		t.Errorf("adding: %v", err)
	}
}

// A server that dies in the middle, and comes back: what was tried again counts once.
func TestWhatIsTriedAgainAfterACrashCountsOnce(t *testing.T) {
	server := postgresserver.Start(t)
	store := open(t, server.Database())
	stored := int64(0)
	for number := int64(1); number <= 20; number++ {
		crash := make(chan struct{})
		go func() {
			defer close(crash)
			if number%5 == 0 {
				server.Restart()
			}
		}()
		for {
			err := store.Add(t.Context(), batchAt("w", number, november))
			if err == nil {
				break
			}
			if last, err := store.Stored(t.Context(), "w"); err == nil && last >= number {
				break
			}
		}
		<-crash
		stored++
	}
	ask := usagestore.LogQuery{From: november, To: november.Add(time.Hour), Page: 1, PageSize: 1}
	page, err := store.Log(t.Context(), &ask)
	for range connections { // that the last restart broke, each of which fails once
		if err == nil {
			break
		}
		page, err = store.Log(t.Context(), &ask)
	}
	if err != nil || page.Total != stored {
		t.Errorf("of %d batches %d lines are stored, %v", stored, page.Total, err)
	}
}

// Days come in any order, and their partitions go when nothing in them is to be kept; then late lines make them anew.
func TestEachDayOfTheLogHasAPartitionThatIsDropped(t *testing.T) {
	store, other := (*Store)(nil), (*Store)(nil)
	url := postgresserver.Start(t).Database()
	store, other = open(t, url), open(t, url)
	days := []time.Time{november, november.AddDate(0, 0, -3), november.AddDate(0, 0, 5)}
	if err := store.Add(t.Context(), batchAt("w", 1, days...)); err != nil {
		t.Fatal(err)
	}
	names := func() string {
		t.Helper()
		list, err := store.partitionNames(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(list, " ")
	}
	if got := names(); got != "log_20261118 log_20261121 log_20261126" {
		t.Errorf("there are %s", got)
	}
	if err := other.Expire(t.Context(), november.AddDate(0, 0, 3), nothingKnown); err != nil {
		t.Fatal(err)
	}
	if got := names(); got != "log_20261126" {
		t.Errorf("after they are over there are %s", got)
	}
	// The first still takes the partition for there.
	late := batchAt("w", 2, november)
	late.Lines[0].Keep = 240 * time.Hour
	if err := store.Add(t.Context(), late); err == nil || errors.Is(err, usagestore.ErrUnstorable) {
		t.Errorf("a line has gone into a partition that is not there, or is given up: %v", err)
	}
	if err := store.Add(t.Context(), late); err != nil {
		t.Errorf("tried again: %v", err)
	}
	if got := names(); got != "log_20261121 log_20261126" {
		t.Errorf("after a late line there are %s", got)
	}
}
