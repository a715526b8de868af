package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

func testLog(t *testing.T, f *fixture) {
	const lines = 25
	for i := range lines {
		f.add(t, decided("a", november.Add(time.Duration(i)*time.Minute), "", logged, func(e *usage.Event) { e.RequestID = fmt.Sprint(i) }))
	}
	f.add(t, decided("a", november, ""), decided("b", november, "", logged))
	q := usagestore.LogQuery{From: november, To: november.Add(20 * time.Minute), Filter: equal(usagestore.ByKey, decided("a", november, "").Key.String()), PageSize: 8}
	var got []string
	for q.Page = 1; q.Page <= 4; q.Page++ {
		page, err := f.Log(t.Context(), &q)
		if err != nil || page.Total != 20 {
			t.Fatalf("page %d: %d lines in all, %v", q.Page, page.Total, err)
		}
		if want := []int{8, 8, 4, 0}[q.Page-1]; len(page.Lines) != want {
			t.Errorf("page %d has %d lines, want %d", q.Page, len(page.Lines), want)
		}
		for _, line := range page.Lines {
			got = append(got, line.RequestID)
		}
	}
	for i, id := range got {
		if id != fmt.Sprint(19-i) {
			t.Fatalf("the lines come in the order %v", got)
		}
	}

	full := ended("c", november.Add(time.Microsecond), usage.Failed, "request", logged, costs(3), of("team/shop", "robot"), func(e *usage.Event) {
		e.EntityKind, e.EntityID, e.Department, e.Error, e.Tier, e.Domain, e.Resource = "Agent", "x", "d", "it broke", "gold", "d.example", "r"
		e.Latency, e.Bytes, e.HTTPStatus = 5*time.Millisecond, 9, 502
	})
	full.Status = usage.Failed
	f.add(t, full)
	page, err := f.Log(t.Context(), &usagestore.LogQuery{From: november, To: november.Add(time.Hour), Filter: equal(usagestore.ByStatus, "failed"), Page: 1, PageSize: 1})
	if err != nil || len(page.Lines) != 1 {
		t.Fatalf("got %+v, %v", page, err)
	}
	want := usagestore.Line{
		At: full.At, RequestID: "request", Key: full.Key.String(), Attribution: full.Attribution, Details: full.Details,
		HTTPStatus: 502, SpendMicrocents: 3, Latency: full.Latency, Bytes: 9,
	}
	if !reflect.DeepEqual(page.Lines[0], want) {
		t.Errorf("got  %+v\nwant %+v", page.Lines[0], want)
	}
}

func testEachLine(t *testing.T, f *fixture) {
	for i := range 60 {
		f.add(t, decided("a", november.Add(time.Duration(i)*time.Hour), "", logged, func(e *usage.Event) { e.RequestID = fmt.Sprint(i) }))
	}
	f.add(t, decided("b", november, "", logged, of("other/shop", "")))
	read := func(filter usagestore.Filter, enough int) (ids []string, err error) {
		stop := errors.New("enough")
		err = f.EachLine(t.Context(), november.Add(time.Hour), november.Add(59*time.Hour), &filter, func(l *usagestore.Line) error {
			if ids = append(ids, l.RequestID); len(ids) == enough {
				return stop
			}
			return nil
		})
		if errors.Is(err, stop) {
			err = nil
		}
		return ids, err
	}
	for name, filter := range map[string]usagestore.Filter{
		"of a workspace": equal(usagestore.ByWorkspace, "team/shop"), "of a key": equal(usagestore.ByKey, decided("a", november, "").Key.String()),
	} {
		ids, err := read(filter, 0)
		if err != nil || len(ids) != 58 {
			t.Fatalf("%s %d lines are read, %v", name, len(ids), err)
		}
		for i, id := range ids {
			if id != fmt.Sprint(i+1) {
				t.Fatalf("%s the lines come in the order %v", name, ids)
			}
		}
	}
	if ids, err := read(equal(usagestore.ByWorkspace, "team/shop"), 3); err != nil || len(ids) != 3 {
		t.Errorf("after three were enough %d are read, %v", len(ids), err)
	}
}

func testLogExpires(t *testing.T, f *fixture) {
	keepFor := func(days int, workspace string) edit {
		return func(e *usage.Event) { e.KeepLine, e.Workspace = time.Duration(days)*24*time.Hour, workspace }
	}
	f.add(t,
		decided("a", november, "", keepFor(1, "team/short")), decided("b", november, "", keepFor(30, "team/long")),
		decided("c", november, "", keepFor(30, "team/shortened")), decided("d", november, "", keepFor(30, "team/deleted")),
		decided("e", november, "", keepFor(30, "team/off")))
	keep := func(workspace string) (time.Duration, bool) {
		switch workspace {
		case "team/shortened":
			return 48 * time.Hour, true
		case "team/off":
			return 0, true
		case "team/long":
			return 90 * 24 * time.Hour, true // the promise of when it was written holds
		}
		return 0, false
	}
	left := func(now time.Time) string {
		t.Helper()
		if err := f.Expire(t.Context(), now, keep); err != nil {
			t.Fatal(err)
		}
		page, err := f.Log(t.Context(), &usagestore.LogQuery{From: november, To: november.AddDate(1, 0, 0), Page: 1, PageSize: 9})
		if err != nil {
			t.Fatal(err)
		}
		var names []string // those of one moment come in any order
		for _, line := range page.Lines {
			names = append(names, line.Workspace[len("team/"):])
		}
		slices.Sort(names)
		return strings.Join(names, " ")
	}
	for _, test := range []struct {
		days int
		want string
	}{{0, "deleted long short shortened"}, {1, "deleted long short shortened"}, {3, "deleted long"}, {30, "deleted long"}, {32, ""}} {
		if got := left(november.AddDate(0, 0, test.days).Add(time.Minute)); got != test.want {
			t.Errorf("after %d days there are lines of %s, want %s", test.days, got, test.want)
		}
	}
	if got := f.keys(t, november, months(november), "a")["a"].Total.Requests; got != 1 {
		t.Errorf("with its line %d requests are counted", got)
	}
}

func testSumsExpire(t *testing.T, f *fixture) {
	years := func(n int) time.Time { return november.AddDate(-n, 0, 0) }
	f.add(t, decided("a", years(6), ""), decided("a", years(2), ""), decided("a", november.AddDate(0, -1, 0), ""), decided("a", november, ""))
	if err := f.Expire(t.Context(), november, nothingKnown); err != nil {
		t.Fatal(err)
	}
	day := func(at time.Time) (time.Time, time.Time) {
		return at.Truncate(24 * time.Hour), at.Truncate(24*time.Hour).AddDate(0, 0, 1)
	}
	hour := func(at time.Time) (time.Time, time.Time) {
		return at.Truncate(time.Hour), at.Truncate(time.Hour).Add(time.Hour)
	}
	for name, test := range map[string]struct {
		cut  func(time.Time) (time.Time, time.Time)
		at   time.Time
		want int64
	}{
		"the day six years ago": {day, years(6), 0}, "the day two years ago": {day, years(2), 1}, "the hour two years ago": {hour, years(2), 0},
		"the hour a month ago": {hour, november.AddDate(0, -1, 0), 1}, "this hour": {hour, november, 1},
	} {
		from, to := test.cut(test.at)
		if got := f.sum(t, from, to, usagestore.Filter{}).Requests; got != test.want {
			t.Errorf("%s has %d requests, want %d", name, got, test.want)
		}
	}
	if got := f.keys(t, november, months(november), "a")["a"].Total.Requests; got != 4 {
		t.Errorf("in total there are %d", got)
	}
}
