package sqlite

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

func allHold(keyid.ID, string) bool { return true }

func lapseAt(t *testing.T, store *Store, now time.Time, holds usagestore.Holds) int {
	t.Helper()
	over, err := store.Lapse(context.Background(), now, holds)
	if err != nil {
		t.Fatal(err)
	}
	return over
}

func refusalsLeft(t *testing.T, store *Store) (count int) {
	t.Helper()
	if err := store.reader.QueryRow("SELECT count(*) FROM refusals").Scan(&count); err != nil {
		t.Fatal(err)
	}
	return count
}

func TestWhatIsOverIsToldThoughNothingIsAskedAnyMore(t *testing.T) {
	store := newStore(t)
	tonight := november.Add(12 * time.Hour)
	add(t, store, exhausted("a", "quota", november, tonight), refused("b", "rate", november, november.Add(time.Minute)), shadowed("c", november, "tried"))
	keys, limits := changes(t, store, 0, november).Next, limitsAfter(t, store, 0, november).Next

	if over := lapseAt(t, store, november.Add(time.Second), allHold); over != 0 {
		t.Errorf("%d refusals were over while they lasted", over)
	}
	if page := limitsAfter(t, store, limits, november); len(page.Limits) != 0 {
		t.Errorf("nothing was over, and yet: %+v", page)
	}

	now := november.Add(time.Minute)
	if over := lapseAt(t, store, now, allHold); over != 1 {
		t.Errorf("%d refusals were over, want that of b", over)
	}
	page := limitsAfter(t, store, limits, now)
	if len(page.Limits) != 1 || page.Limits[0] != (usagefeed.Limit{ID: "rate", Denied: 1}) {
		t.Errorf("told of %+v, want the rate that refuses nobody", page.Limits)
	}
	if page := changes(t, store, keys, now); len(page.Keys) != 0 {
		t.Errorf("keys are told of though none of them was exhausted: %+v", page.Keys)
	}

	lapseAt(t, store, tonight, allHold)
	page = limitsAfter(t, store, page.Next, tonight)
	if len(page.Limits) != 1 || page.Limits[0] != (usagefeed.Limit{ID: "quota", Denied: 1}) {
		t.Errorf("told of %+v, want the quota that nobody has exhausted", page.Limits)
	}
	if key := only(t, changes(t, store, keys, tonight)); key.ID != keyid.Derive("a").String() || key.Exhausted != nil {
		t.Errorf("told of %+v, want a that is not exhausted", key)
	}
	if left := refusalsLeft(t, store); left != 0 {
		t.Errorf("%d refusals are kept", left)
	}
}

func TestARefusalByALimitThatHoldsNoMoreIsOver(t *testing.T) {
	store := newStore(t)
	add(t, store, exhausted("a", "deleted", november, november.Add(time.Hour)), exhausted("a", "kept", november, november.Add(time.Minute)),
		exhausted("deleted", "kept", november, november.Add(time.Hour)))
	now := november.Add(time.Second)
	over := lapseAt(t, store, now, func(key keyid.ID, limit string) bool {
		return key == keyid.Derive("a") && limit == "kept"
	})
	if over != 2 {
		t.Errorf("%d refusals were over, want 2", over)
	}
	told := limits(t, store, now)
	if told["deleted"].ExhaustedKeys != 0 || told["kept"].ExhaustedKeys != 1 {
		t.Errorf("told of %+v", told)
	}
	for _, key := range changes(t, store, 0, now).Keys {
		if exhausted := key.Exhausted; (exhausted != nil) != (key.ID == keyid.Derive("a").String()) || exhausted != nil && exhausted.Limit != "kept" {
			t.Errorf("of %s is told %+v", key.ID, exhausted)
		}
	}
}

func TestARefusalThatIsMadeAnewWhileItLapsesStays(t *testing.T) {
	store := newStore(t)
	add(t, store, refused("a", "l", november, november))
	now := november.Add(time.Minute)
	list, err := store.refusalsOver(t.Context(), now, allHold)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	add(t, store, refused("a", "l", now, now.Add(time.Second)))
	if err := store.transaction(t.Context(), func(tx *sql.Tx) error { return lapse(t.Context(), tx, list) }); err != nil {
		t.Fatal(err)
	}
	if got := limits(t, store, now)["l"].ThrottledKeys; got != 1 {
		t.Errorf("%d keys are throttled, want the one that was refused again", got)
	}
}

func TestManyRefusalsLapseInChunks(t *testing.T) {
	store := newStore(t)
	const keys = 2*lapseChunk + 1
	for i := range keys {
		add(t, store, refused(time.Duration(i).String(), "l", november, november))
	}
	if over := lapseAt(t, store, november.Add(time.Hour), allHold); over != keys || refusalsLeft(t, store) != 0 {
		t.Errorf("%d refusals were over and %d are left, want %d and none", over, refusalsLeft(t, store), keys)
	}
}
