package postgres

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/test/postgresserver"
)

// Verifiers that count the same keys, and meet new series of them all the time, do not wait for each other in a circle.
func TestVerifiersOfTheSameKeysDoNotDeadlock(t *testing.T) {
	url := postgresserver.Start(t).Database()
	const batches, keys = 60, 40
	var adding sync.WaitGroup
	for _, writer := range []string{"a", "b", "c"} {
		store := open(t, url)
		adding.Go(func() {
			for number := range int64(batches) {
				b := usage.NewBatch(writer, number+1)
				for key := range keys {
					b.Rollup.Merge(changed(writer, 1, func(e *usage.Event) {
						e.Key, e.Resource = keyid.Derive(fmt.Sprint(key)), fmt.Sprint(writer, number)
					}).Rollup)
				}
				if err := store.Add(t.Context(), b); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	adding.Wait()
	page, err := open(t, url).Groups(t.Context(), 0, november, func(string) (time.Time, time.Time) { return november, november })
	if err != nil || len(page.Groups) != 1 || page.Groups[0].Total.Requests != 3*batches*keys {
		t.Errorf("told is %+v, %v", page, err)
	}
}

// A report that waited for the database for longer than a day counts once, though its mark is expired before another
// verifier brings it, which waited as long.
func TestAReportCountsOnceAfterALongOutage(t *testing.T) {
	url := postgresserver.Start(t).Database()
	at := november.AddDate(0, 0, -2)
	report := func(writer string) *usage.Batch {
		b := usage.NewBatch(writer, 1)
		b.Reports = []usage.Event{{
			Key: keyid.Derive("a"), Attribution: usage.Attribution{Workspace: "team/shop"}, Details: usage.Details{Status: usage.Succeeded},
			At: at, PeriodStart: usagefeed.PeriodStart(at), RequestID: "1", Remaining: usage.NoLimit, BudgetRemaining: usage.NoLimit,
		}}
		return b
	}
	one, other := open(t, url), open(t, url)
	if err := one.Add(t.Context(), report("one")); err != nil {
		t.Fatal(err)
	}
	if err := one.Expire(t.Context(), november, nothingKnown); err != nil {
		t.Fatal(err)
	}
	if err := other.Add(t.Context(), report("other")); err != nil {
		t.Fatal(err)
	}
	page, err := one.Changes(t.Context(), 0, november, func(string) (time.Time, time.Time) { return at, november })
	if err != nil || len(page.Keys) != 1 || page.Keys[0].Total.Succeeded != 1 {
		t.Errorf("told is %+v, %v", page, err)
	}
}
