package postgres

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/internal/usagestore"
	"github.com/claviger-dev/claviger/test/postgresserver"
)

// changed is batchAt of november with something in its event changed.
func changed(writer string, number int64, change func(*usage.Event)) *usage.Batch {
	e := usage.Event{
		Key: keyid.Derive("a"), Attribution: usage.Attribution{Workspace: "team/shop"}, At: november, PeriodStart: usagefeed.PeriodStart(november),
		KeepLine: 24 * time.Hour, Remaining: usage.NoLimit, BudgetRemaining: usage.NoLimit,
	}
	change(&e)
	b := usage.NewBatch(writer, number)
	b.Add(&e, nil)
	return b
}

// What will never be stored is told from what could not be stored yet. Nothing of it is, and others are.
func TestABatchThatIsRefusedIsToldFromOneThatCouldNotBeStored(t *testing.T) {
	server := postgresserver.Start(t)
	store := open(t, server.Database())
	number := int64(0)
	add := func(change func(*usage.Event)) error {
		number++
		return store.Add(t.Context(), changed("w", number, change))
	}
	good := func(*usage.Event) {}
	if err := add(good); err != nil {
		t.Fatal(err)
	}
	server.Do("usage_1", "ALTER TABLE hours ADD CONSTRAINT somebodys CHECK (bytes < 1000)")
	for name, change := range map[string]func(*usage.Event){
		"a NUL in a series":           func(e *usage.Event) { e.Resource = "a\x00b" },
		"no UTF-8 in a group":         func(e *usage.Event) { e.Workspace = "team/\xff" },
		"a NUL in a line":             func(e *usage.Event) { e.RequestID = "a\x00b" },
		"what somebody's check bars":  func(e *usage.Event) { e.Bytes = 1000 },
		"half a character in a line":  func(e *usage.Event) { e.RequestID = "\xc3" },
		"a surrogate in a department": func(e *usage.Event) { e.Department = "\xed\xa0\x80" },
	} {
		if err := add(change); !errors.Is(err, usagestore.ErrUnstorable) || !strings.Contains(err.Error(), "SQLSTATE") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := add(good); err != nil {
		t.Errorf("after them: %v", err)
	}
	page, err := store.Log(t.Context(), &usagestore.LogQuery{From: november, To: november.Add(time.Hour), Page: 1, PageSize: 1})
	if err != nil || page.Total != 2 {
		t.Errorf("%d lines are stored, %v; want 2", page.Total, err)
	}
}

// What is not the batch's fault is tried again, whatever its SQLSTATE begins with.
func TestNoOtherFailureTakesTheBatchForRefused(t *testing.T) {
	server := postgresserver.Start(t)
	url := server.Database()
	if err := open(t, url).Add(t.Context(), batchAt("w", 1, november)); err != nil {
		t.Fatal(err)
	}
	failed := func(name, url string) {
		t.Helper()
		// Without a line, for which a partition would be made before.
		err := open(t, url).Add(t.Context(), changed("w", 2, func(e *usage.Event) { e.KeepLine = 0 }))
		if err == nil || errors.Is(err, usagestore.ErrUnstorable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	failed("a parameter that is refused in connecting", url+"&timezone=Nowhere") // 22023
	failed("a database that is not there", server.URL("none"))
	server.Do("usage_1", "ALTER TABLE days RENAME TO elsewhere")
	failed("a table that is not there", url)
	server.Kill()
	failed("a server that is not there", url)
}

// What is read stops there as well, so only the rows tell.
func TestNoRowGrowsBeyondWhereSumsStop(t *testing.T) {
	store := open(t, postgresserver.Start(t).Database())
	for number := range int64(3) {
		b := changed("w", number+1, func(e *usage.Event) {
			e.SpendMicrocents, e.Bytes, e.Latency = math.MaxInt64, math.MaxInt64, math.MaxInt64
		})
		if err := store.Add(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range []string{"hours", "days"} {
		var count, spend, latency, bytes int64
		err := store.pool.QueryRow(t.Context(), "SELECT count, spend_microcents, latency_us, bytes FROM "+table).Scan(&count, &spend, &latency, &bytes)
		if err != nil || count != 3 || spend != usage.MaxSum || latency != usage.MaxSum || bytes != usage.MaxSum {
			t.Errorf("%s have %d, %d, %d, %d, %v", table, count, spend, latency, bytes, err)
		}
	}
}

// A row knows one period; any other is summed up, of more than a number holds.
func TestAPeriodThatIsSummedUpStopsWhereSumsDo(t *testing.T) {
	store := open(t, postgresserver.Start(t).Database())
	for number := range int64(5) {
		b := usage.NewBatch("w", number+1)
		for i := range 250 {
			b.Rollup.Merge(changed("w", 1, func(e *usage.Event) {
				e.SpendMicrocents, e.Resource = usage.MaxSum, fmt.Sprint(number, "/", i)
			}).Rollup)
		}
		if err := store.Add(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	period := func(string) (time.Time, time.Time) { return november.AddDate(0, 0, -4), november.AddDate(0, 0, 4) }
	page, err := store.Changes(t.Context(), 0, november, period)
	if err != nil || len(page.Keys) != 1 {
		t.Fatalf("told is %+v, %v", page, err)
	}
	if key := page.Keys[0]; key.Total.SpendMicrocents != usage.MaxSum || key.Period.SpendMicrocents != usage.MaxSum || key.Period.Requests != 1250 {
		t.Errorf("told is %+v", key)
	}
}
