// Package storetest holds every store of usage to the same.
package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

// Open opens an empty store, which is closed when the test ends.
type Open func(t testing.TB) usagestore.Store

// Run runs the whole suite.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, *fixture){
		"a batch is stored once, however often it is added": testNumbers,
		"two writers add up":                                   testWriters,
		"a report counts once, whoever brings it":              testReports,
		"a request is counted under what became of it":         testCounts,
		"keys and groups tell of the billing period":           testPeriods,
		"periods that are changed are summed up anew":          testChangedPeriods,
		"groups keep what deleted keys used":                   testGroups,
		"the feeds tell of what changed, page after page":      testPages,
		"limits tell whom they refuse until it is over":        testRefusals,
		"sums are told apart by every dimension":               testDimensions,
		"filters select by every dimension":                    testFilters,
		"time is cut in its zone":                              testBuckets,
		"what is filtered or cut may be anything":              testHostileTexts,
		"the log comes in pages, the newest line first":        testLog,
		"the log is handed over line by line":                  testEachLine,
		"lines go when their workspace says so":                testLogExpires,
		"hours go before days, and days before totals":         testSumsExpire,
		"a key has an owner":                                   testOwner,
		"log, hours, days, sums and feeds agree about any day": testAgreement,
		"many writers at once lose and double nothing":         testConcurrency,
		"an outcome is no use of a key":                        testOutcomesAlone,
	} {
		t.Run(name, func(t *testing.T) { test(t, &fixture{Store: open(t)}) })
	}
	runReading(t, open)
}

// november is when all tests are.
var november = time.Date(2026, time.November, 21, 10, 30, 0, 0, time.UTC)

// fixture is a store and what writes to it.
type fixture struct {
	usagestore.Store
	number int64
}

const writer = "test"

// batch is the next one of the writer: decisions, and outcomes as reports.
func (f *fixture) batch(events ...usage.Event) *usage.Batch {
	f.number++
	return batchOf(writer, f.number, events...)
}

func batchOf(writer string, number int64, events ...usage.Event) *usage.Batch {
	b := usage.NewBatch(writer, number)
	for i := range events {
		e := &events[i]
		if e.Status.Outcome() {
			b.Reports = append(b.Reports, *e)
			continue
		}
		b.Add(e, nil)
	}
	return b
}

func (f *fixture) add(t testing.TB, events ...usage.Event) {
	t.Helper()
	if err := f.Add(t.Context(), f.batch(events...)); err != nil {
		t.Fatal(err)
	}
}

// edit changes an event that is made.
type edit func(*usage.Event)

// decided is a request of a key that was allowed, unless a code says why not.
func decided(key string, at time.Time, code string, edits ...edit) usage.Event {
	e := usage.Event{
		Key: keyid.Derive(key), Attribution: usage.Attribution{Workspace: "team/shop", Environment: "live"},
		At: at, PeriodStart: usagefeed.PeriodStart(at), RequestID: fmt.Sprint(key, at.UnixNano()),
		Remaining: usage.NoLimit, BudgetRemaining: usage.NoLimit,
	}
	if code != "" {
		e.Details = usage.Details{Status: usage.Denied, Error: code}
	}
	for _, edit := range edits {
		edit(&e)
	}
	return e
}

// ended is the outcome of a request.
func ended(key string, at time.Time, status usage.Status, request string, edits ...edit) usage.Event {
	e := decided(key, at, "", edits...)
	e.Status, e.RequestID = status, request
	return e
}

func logged(e *usage.Event) { e.KeepLine = 30 * 24 * time.Hour }

func costs(microcents int64) edit { return func(e *usage.Event) { e.SpendMicrocents = microcents } }

func of(workspace, account string) edit {
	return func(e *usage.Event) { e.Workspace, e.ServiceAccount = workspace, account }
}

// months are the billing periods of a workspace that decides nothing about them.
func months(now time.Time) usagestore.PeriodOf {
	start := usagefeed.PeriodStart(now)
	return func(string) (time.Time, time.Time) { return start, start.AddDate(0, 1, 0) }
}

// keys are what the feed tells of all keys, by the names that they are derived from.
func (f *fixture) keys(t testing.TB, now time.Time, period usagestore.PeriodOf, names ...string) map[string]usagefeed.Key {
	t.Helper()
	told := map[string]usagefeed.Key{}
	for after := int64(0); ; {
		page, err := f.Changes(t.Context(), after, now, period)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range page.Keys {
			told[key.ID] = key
		}
		if page.Next == after {
			break
		}
		after = page.Next
	}
	named := map[string]usagefeed.Key{}
	for _, name := range names {
		if key, ok := told[keyid.Derive(name).String()]; ok {
			named[name] = key
		}
	}
	return named
}

// groups are what the feed tells of all groups, by kind and name.
func (f *fixture) groups(t testing.TB, now time.Time, period usagestore.PeriodOf) map[string]usagefeed.Group {
	t.Helper()
	page, err := f.Groups(t.Context(), 0, now, period)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]usagefeed.Group{}
	for _, g := range page.Groups {
		told[g.Kind+" "+g.Name] = g
	}
	return told
}

// sum is the whole of what a filter selects in a range.
func (f *fixture) sum(t testing.TB, from, to time.Time, filter usagestore.Filter) usage.Totals {
	t.Helper()
	var sum usage.Totals
	for _, row := range f.rows(t, usagestore.Query{From: from, To: to, Filter: filter}) {
		sum.Merge(&row.Totals)
	}
	return sum
}

func (f *fixture) rows(t testing.TB, q usagestore.Query) []usagestore.Row {
	t.Helper()
	rows, err := f.Sum(t.Context(), &q)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func equal(dimension usagestore.Dimension, values ...string) usagestore.Filter {
	return usagestore.Filter{Equal: map[usagestore.Dimension][]string{dimension: values}}
}
