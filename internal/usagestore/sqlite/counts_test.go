package sqlite

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/limitstore/local"
)

var noonOfMarch = time.Date(2026, 3, 15, 12, 0, 0, 0, time.UTC)

func monthly(t *testing.T, zone string) *limit.Calendar {
	t.Helper()
	location, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	return limit.NewCalendar(limit.Monthly, 31, location)
}

// process is a verifier's store of counts from a start to a kill.
type process struct {
	store  *local.Store
	keeper *local.Keeper
}

func start(t *testing.T, disk *Store, at time.Time) process {
	t.Helper()
	store := local.NewStore()
	keeper, err := local.Restore(t.Context(), store, disk, clocktesting.NewFakeClock(at), logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	return process{store, keeper}
}

func (p process) keep(t *testing.T) {
	t.Helper()
	if err := p.keeper.Keep(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (p process) define(id types.UID, at time.Time, rules ...limit.Rule) []local.Rule {
	fresh, gone := p.store.Define(id, rules, at)
	p.store.Forget(gone)
	return fresh
}

func (p process) left(rule local.Rule, subject local.Subject, at time.Time) int64 {
	return rule.Look(p.store.Bucket(rule.Counter, subject), at).Remaining
}

func openCounts(t *testing.T) *Store {
	t.Helper()
	store, err := Open(context.Background(), filepath.Join(t.TempDir(), "usage.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() }) //nolint:errcheck // of a test
	return store
}

func TestWhatIsUsedOfLimitsOutlivesARestart(t *testing.T) {
	disk := openCounts(t)
	rules := []limit.Rule{
		{Max: 10, Per: time.Hour},
		{Kind: limit.Tokens, Max: 10, Burst: 20, Per: time.Hour},
		{Kind: limit.Quota, Max: 100, Calendar: monthly(t, "Europe/Berlin")},
		{Kind: limit.Budget, Max: 250_000_000_000_000, Calendar: monthly(t, "Pacific/Apia")},
		{Kind: limit.Concurrency, Max: 3, Per: time.Minute},
	}
	amounts := []int64{4, 7, 30, 249_999_999_999_999}
	left := []int64{6, 13, 70, 1}

	first := start(t, disk, noonOfMarch)
	for i, rule := range first.define("l", noonOfMarch, rules...)[:4] {
		rule.Take(first.store.Bucket(rule.Counter, 7), noonOfMarch, amounts[i])
	}
	first.keep(t)
	soon := noonOfMarch.Add(time.Second)
	second := start(t, disk, soon)
	defined := second.define("l", soon, rules...)
	for i, want := range left {
		if got := second.left(defined[i], 7, soon); got != want {
			t.Errorf("%v: %d left, want %d", defined[i].Kind, got, want)
		}
		if got := second.left(defined[i], 8, soon); got != defined[i].Capacity() {
			t.Errorf("%v: another subject has %d left", defined[i].Kind, got)
		}
	}
	defined[0].Take(second.store.Bucket(defined[0].Counter, 7), soon, 1)
	second.keep(t)
	third := start(t, disk, soon)
	if got := third.left(third.define("l", soon, rules...)[0], 7, soon); got != 5 {
		t.Errorf("after another restart %d left, want 5", got)
	}
}

// Whoever edits a limit while the verifier is down gets no more by it than by an edit while it is up.
func TestAnEditWhileAwayHandsOutNothing(t *testing.T) {
	day := limit.NewCalendar(limit.Daily, 1, nil)
	tests := map[string]struct {
		before, after limit.Rule
		want          int64 // left, of 8 used
	}{
		"a span of another length":         {limit.Rule{Max: 10, Per: time.Hour}, limit.Rule{Max: 10, Per: 24 * time.Hour}, 2},
		"a span made a token bucket":       {limit.Rule{Max: 10, Per: time.Hour}, limit.Rule{Kind: limit.Tokens, Max: 1, Burst: 10, Per: time.Hour}, 2},
		"a token bucket that flows slower": {limit.Rule{Kind: limit.Tokens, Max: 100, Burst: 10, Per: time.Hour}, limit.Rule{Kind: limit.Tokens, Max: 1, Burst: 10, Per: time.Hour}, 2},
		"a quota by the day":               {limit.Rule{Kind: limit.Quota, Max: 10, Calendar: monthly(t, "UTC")}, limit.Rule{Kind: limit.Quota, Max: 10, Calendar: day}, 2},
		"a larger quota":                   {limit.Rule{Kind: limit.Quota, Max: 10, Calendar: day}, limit.Rule{Kind: limit.Quota, Max: 20, Calendar: day}, 12},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			disk := openCounts(t)
			first := start(t, disk, noonOfMarch)
			rule := first.define("l", noonOfMarch, test.before)[0]
			rule.Take(first.store.Bucket(rule.Counter, 7), noonOfMarch, 8)
			first.keep(t)
			second := start(t, disk, noonOfMarch)
			edited := second.define("l", noonOfMarch, test.after)[0]
			if got := second.left(edited, 7, noonOfMarch); got != test.want {
				t.Errorf("%d left, want %d", got, test.want)
			}
			second.keep(t)
			third := start(t, disk, noonOfMarch)
			if got := third.left(third.define("l", noonOfMarch, test.after)[0], 7, noonOfMarch); got != test.want {
				t.Errorf("after another restart %d left, want %d", got, test.want)
			}
		})
	}
}

func TestCountsThatAreOverAreNotKept(t *testing.T) {
	disk := openCounts(t)
	first := start(t, disk, noonOfMarch)
	rule := first.define("l", noonOfMarch, limit.Rule{Max: 10, Per: time.Hour})[0]
	rule.Take(first.store.Bucket(rule.Counter, 7), noonOfMarch, 8)
	first.keep(t)
	later := noonOfMarch.Add(48 * time.Hour)
	if rules, counts, err := disk.KeptCounts(t.Context(), later); err != nil || len(rules)+len(counts) > 0 {
		t.Errorf("kept %v %v %v", rules, counts, err)
	}
	if err := disk.ExpireCounts(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	if _, counts, err := disk.KeptCounts(t.Context(), noonOfMarch); err != nil || len(counts) > 0 {
		t.Errorf("still there: %v %v", counts, err)
	}
}

// A disk that fails loses nothing that it takes later.
func TestCountsAreKeptOnceTheDiskTakesThem(t *testing.T) {
	disk := openCounts(t)
	first := start(t, disk, noonOfMarch)
	rule := first.define("l", noonOfMarch, limit.Rule{Max: 10, Per: time.Hour})[0]
	rule.Take(first.store.Bucket(rule.Counter, 7), noonOfMarch, 8)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := first.keeper.Keep(gone); err == nil {
		t.Fatal("a disk that was not reached took it")
	}
	first.keep(t)
	if _, counts, err := disk.KeptCounts(t.Context(), noonOfMarch); err != nil || len(counts) != 1 {
		t.Errorf("kept %v %v", counts, err)
	}
}
