package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

// runReading runs what is promised of answers that are old, large or long.
func runReading(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, *fixture){
		"hours are kept since when it is said":         testHoursSince,
		"what has no hours is cut between days of UTC": testOldBuckets,
		"no answer has more rows than it may":          testMost,
		"lines come in the order in which they come":   testOrderOfLines,
		"sums stop where numbers that are exact do":    testLargestSums,
		"the log has any number of series":             testLogOfManySeries,
	} {
		t.Run(name, func(t *testing.T) { test(t, &fixture{Store: open(t)}) })
	}
}

func testHoursSince(t *testing.T, f *fixture) {
	since := usagestore.HoursSince(november)
	f.add(t, decided("a", since.Add(-time.Second), ""), decided("a", since, ""), decided("a", november.AddDate(0, -1, 0), ""), decided("a", november, ""))
	if err := f.Expire(t.Context(), november, nothingKnown); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		from, to time.Time
		want     int64
	}{
		"the last hour before": {since.Add(-time.Hour), since, 0}, "its day": {since.AddDate(0, 0, -1), since, 1}, "the first hour": {since, since.Add(time.Hour), 1},
	} {
		if got := f.sum(t, test.from, test.to, usagestore.Filter{}).Requests; got != test.want {
			t.Errorf("%s has %d requests, want %d", name, got, test.want)
		}
	}
}

// However a range is cut, what is in its buckets is what is in it.
func testOldBuckets(t *testing.T, f *fixture) {
	since := usagestore.HoursSince(november)
	begin := since.AddDate(0, 0, -400)
	var events []usage.Event
	for at := begin; at.Before(since.AddDate(0, 0, 40)); at = at.Add(7 * time.Hour) {
		events = append(events, decided("a", at, ""))
	}
	f.add(t, append(events, decided("b", november.AddDate(0, -1, 0), ""), decided("b", november, ""))...)
	if err := f.Expire(t.Context(), november, nothingKnown); err != nil {
		t.Fatal(err)
	}
	between := func(from, to time.Time) (count int64) {
		for i := range events {
			if at := events[i].At; !at.Before(from) && at.Before(to) {
				count++
			}
		}
		return count
	}
	for _, name := range []string{"UTC", "America/New_York", "Europe/Berlin", "Pacific/Auckland", "Asia/Kolkata"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, every := range []usagestore.Bucket{"", usagestore.ByDay, usagestore.ByWeek, usagestore.ByMonth} {
			q := usagestore.Query{From: begin, To: since.AddDate(0, 0, 30), Every: every, Zone: zone, HoursSince: since}
			got := map[int64]int64{}
			for _, row := range f.rows(t, q) {
				got[row.Start.Unix()] += row.Requests
			}
			starts := usagestore.Starts(&q)
			if every == "" {
				got = map[int64]int64{begin.Unix(): got[time.Time{}.Unix()]}
			}
			for i, start := range starts {
				end := q.To
				if i+1 < len(starts) {
					end = starts[i+1]
				}
				if want := between(latest(start, begin), end); got[start.Unix()] != want || !start.Before(end) {
					t.Errorf("by %q in %s there are %d from %v to %v, want %d", every, name, got[start.Unix()], start, end, want)
				}
				delete(got, start.Unix())
			}
			if len(got) > 0 || starts[0].After(begin) {
				t.Errorf("by %q in %s the first begins at %v, and %v is in none", every, name, starts[0], got)
			}
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func testMost(t *testing.T, f *fixture) {
	for i := range 3 {
		resource := func(e *usage.Event) { e.Resource = fmt.Sprint(i) }
		f.add(t, decided("a", november, "", logged, resource), decided("b", november, "RATE_LIMITED", logged, resource))
	}
	for _, every := range []usagestore.Bucket{"", usagestore.ByMinute, usagestore.ByHour, usagestore.ByMonth} {
		for most, fits := range map[int]bool{0: true, 2: false, 3: true, 4: true} {
			q := day
			q.By, q.Every, q.Most = []usagestore.Dimension{usagestore.ByResource}, every, most
			rows, err := f.Sum(t.Context(), &q)
			if fits && (err != nil || len(rows) != 3) || !fits && !errors.Is(err, usagestore.ErrTooManyRows) {
				t.Errorf("by %q, of at most %d there are %d rows, %v", every, most, len(rows), err)
			}
		}
	}
}

// However many series a filter selects, the page and the total are of theirs.
func testLogOfManySeries(t *testing.T, f *fixture) {
	const many = 700
	var events []usage.Event
	for i := range many {
		at := november.Add(time.Duration(i) * time.Second)
		events = append(events, decided("a", at, "", logged, func(e *usage.Event) { e.Domain, e.RequestID = fmt.Sprintf("www%d.example.com", i), fmt.Sprint(i) }))
	}
	f.add(t, append(events, decided("b", november, "", logged))...)
	for name, test := range map[string]struct {
		filter usagestore.Filter
		total  int64
		newest string
	}{
		"all of a key":     {equal(usagestore.ByKey, keyid.Derive("a").String()), many, "699"},
		"one of them":      {usagestore.Filter{DomainContains: "WWW42.", Equal: equal(usagestore.ByKey, keyid.Derive("a").String()).Equal}, 1, "42"},
		"some of them":     {usagestore.Filter{DomainContains: "www1", Equal: equal(usagestore.ByKey, keyid.Derive("a").String()).Equal}, 111, "199"},
		"none of them":     {usagestore.Filter{DomainContains: "elsewhere", Equal: equal(usagestore.ByKey, keyid.Derive("a").String()).Equal}, 0, ""},
		"all of a tenant":  {equal(usagestore.ByWorkspace, "team/shop"), many + 1, "699"},
		"a key of nowhere": {equal(usagestore.ByKey, keyid.Derive("c").String()), 0, ""},
	} {
		page, err := f.Log(t.Context(), &usagestore.LogQuery{From: november, To: november.Add(time.Hour), Filter: test.filter, Page: 1, PageSize: 1})
		newest := ""
		if len(page.Lines) > 0 {
			newest = page.Lines[0].RequestID
		}
		if err != nil || page.Total != test.total || newest != test.newest {
			t.Errorf("%s: %d lines, the newest %q, %v", name, page.Total, newest, err)
		}
	}
}

// Lines that are stored later and are of later come later, and what is stored at once, or is of before, comes at all.
func testOrderOfLines(t *testing.T, f *fixture) {
	at := func(minutes int) time.Time { return november.Add(time.Duration(minutes) * time.Minute) }
	named := func(id string) edit { return func(e *usage.Event) { e.RequestID = id } }
	f.add(t,
		ended("a", at(1), usage.Succeeded, "1", logged), decided("a", at(0), "", logged, named("0")), decided("b", at(3), "", logged, named("3")), decided("a", at(2), "", logged, named("2")))
	f.add(t, decided("b", at(10), "", logged, named("10")), ended("b", at(11), usage.Failed, "11", logged))
	f.add(t, decided("a", at(5), "", logged, named("late")))
	f.add(t, decided("a", at(20), "", logged, named("20")))
	f.add(t, decided("a", at(48*60), "", logged, named("the day after")))
	filter := equal(usagestore.ByWorkspace, "team/shop")
	var ids []string
	err := f.EachLine(t.Context(), november, at(49*60), &filter, func(l *usagestore.Line) error {
		ids = append(ids, l.RequestID)
		return nil
	})
	place := func(id string) int { return slices.Index(ids, id) }
	if sorted := slices.Sorted(slices.Values(ids)); err != nil || !slices.Equal(sorted, []string{"0", "1", "10", "11", "2", "20", "3", "late", "the day after"}) {
		t.Fatalf("the lines are %v, %v", ids, err)
	}
	for _, pair := range [][2]string{{"0", "10"}, {"1", "10"}, {"2", "10"}, {"3", "11"}, {"10", "20"}, {"11", "20"}, {"late", "20"}, {"20", "the day after"}} {
		if place(pair[0]) > place(pair[1]) {
			t.Errorf("%s comes after %s: %v", pair[0], pair[1], ids)
		}
	}
}
