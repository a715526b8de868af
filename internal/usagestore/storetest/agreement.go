package storetest

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

// Whatever happens on a day, everything that tells of it tells the same, to the unit: the log, the hours, the days,
// whatever is summed up of them in whatever buckets, and the feeds.
func testAgreement(t *testing.T, f *fixture) {
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		// Each run has a day, and a workspace, of its own.
		begin := november.Truncate(24*time.Hour).AddDate(0, 0, runs)
		workspace := "team/" + begin.Format(time.DateOnly)
		want := map[string]*usage.Totals{}
		var whole usage.Totals
		for range rapid.IntRange(1, 4).Draw(rt, "batches") {
			var events []usage.Event
			for range rapid.IntRange(1, 25).Draw(rt, "events") {
				e := drawEvent(rt, begin, workspace)
				events = append(events, e)
			}
			b := f.batch(events...)
			if err := f.Add(t.Context(), b); err != nil {
				rt.Fatal(err)
			}
			for i := range events {
				count(&whole, want, &events[i])
			}
		}
		q := usagestore.Query{From: begin, To: begin.AddDate(0, 0, 1), Filter: equal(usagestore.ByWorkspace, workspace)}
		for _, every := range []usagestore.Bucket{"", usagestore.ByMinute, usagestore.ByHour, usagestore.ByDay, usagestore.ByWeek, usagestore.ByMonth} {
			q.Every = every
			var sum usage.Totals
			for _, row := range f.rows(t, q) {
				sum.Merge(&row.Totals)
			}
			if sum != whole {
				rt.Fatalf("by %q there is %+v, want %+v", every, sum, whole)
			}
		}
		agreeInHalves(t, rt, f, &q, &whole)
		agreeInLog(t, rt, f, &q, &whole)
		agreeInFeeds(t, rt, f, begin, workspace, want, &whole)
	})
}

func drawEvent(t *rapid.T, begin time.Time, workspace string) usage.Event {
	key := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key") + workspace
	at := begin.Add(time.Duration(rapid.IntRange(0, 24*3600-1).Draw(t, "second")) * time.Second)
	e := decided(key, at, rapid.SampledFrom([]string{"", "", "RATE_LIMITED", "KEY_EXPIRED"}).Draw(t, "code"), logged, of(workspace, ""))
	if rapid.Bool().Draw(t, "account") {
		e.ServiceAccount = "robot"
	}
	e.Tier = rapid.SampledFrom([]string{"", "gold"}).Draw(t, "tier")
	e.Quarters = rapid.Bool().Draw(t, "quarters")
	if rapid.IntRange(0, 2).Draw(t, "kind") == 0 {
		e.Details = usage.Details{Status: rapid.SampledFrom([]usage.Status{usage.Succeeded, usage.Failed, usage.Reported}).Draw(t, "status"), Tier: e.Tier}
		e.Latency = time.Duration(rapid.IntRange(0, 1000).Draw(t, "latency")) * time.Microsecond
		e.Bytes = rapid.Int64Range(0, 99).Draw(t, "bytes")
		e.RequestID = rapid.StringMatching(`[a-z]{12}`).Draw(t, "request")
	}
	if e.Status != usage.Denied {
		e.SpendMicrocents = rapid.Int64Range(0, 1000).Draw(t, "spend")
	}
	return e
}

func count(whole *usage.Totals, byKey map[string]*usage.Totals, e *usage.Event) {
	if byKey[e.Key.String()] == nil {
		byKey[e.Key.String()] = &usage.Totals{}
	}
	byKey[e.Key.String()].Add(e.Status, usage.MeasuresOf(e))
	whole.Add(e.Status, usage.MeasuresOf(e))
}

// agreeInHalves cuts the day anywhere between two hours.
func agreeInHalves(t *testing.T, rt *rapid.T, f *fixture, q *usagestore.Query, whole *usage.Totals) {
	cut := q.From.Add(time.Duration(rapid.IntRange(0, 24).Draw(rt, "cut")) * time.Hour)
	sum, rest := f.sum(t, q.From.AddDate(0, 0, -1), cut, q.Filter), f.sum(t, cut, q.To.AddDate(0, 0, 2), q.Filter)
	if sum.Merge(&rest); sum != *whole {
		rt.Fatalf("in two halves there is %+v, want %+v", sum, *whole)
	}
}

func agreeInLog(t *testing.T, rt *rapid.T, f *fixture, q *usagestore.Query, whole *usage.Totals) {
	var sum usage.Totals
	lines := int64(0)
	err := f.EachLine(t.Context(), q.From, q.To, &q.Filter, func(l *usagestore.Line) error {
		lines++
		m := usage.Measures{Count: 1, SpendMicrocents: l.SpendMicrocents, Bytes: l.Bytes}
		if l.Latency > 0 {
			m.LatencyMicros, m.Timed = l.Latency.Microseconds(), 1
		}
		sum.Add(l.Status, m)
		return nil
	})
	page, pageErr := f.Log(t.Context(), &usagestore.LogQuery{From: q.From, To: q.To, Filter: q.Filter, Page: 1, PageSize: 1})
	if err != nil || pageErr != nil || sum != *whole || page.Total != lines {
		rt.Fatalf("the log comes to %+v in %d lines, or %d, want %+v (%v, %v)", sum, lines, page.Total, *whole, err, pageErr)
	}
}

func agreeInFeeds(t *testing.T, rt *rapid.T, f *fixture, begin time.Time, workspace string, want map[string]*usage.Totals, whole *usage.Totals) {
	counts := func(t *usage.Totals) usagefeed.Counts {
		return usagefeed.Counts{Requests: t.Requests, Denied: t.Denied, Succeeded: t.Succeeded, Failed: t.Failed, SpendMicrocents: t.SpendMicrocents}
	}
	told := f.keys(t, begin, months(begin), "a"+workspace, "b"+workspace, "c"+workspace)
	if len(told) != len(want) {
		rt.Fatalf("told is of %d keys, want %d", len(told), len(want))
	}
	for _, key := range told {
		if key.Total != counts(want[key.ID]) || key.Period.Counts != key.Total {
			rt.Fatalf("of %s is told %+v, want %+v", key.ID, key, *want[key.ID])
		}
	}
	for after := int64(0); ; {
		page, err := f.Groups(t.Context(), after, begin, months(begin))
		if err != nil || page.Next == after {
			rt.Fatalf("the workspace is in no page, %v", err)
		}
		for _, g := range page.Groups {
			if g.Kind == usagefeed.KindWorkspace && g.Name == workspace {
				if g.Total != counts(whole) || g.Period.Counts != g.Total {
					rt.Fatalf("of the workspace is told %+v, want %+v", g, *whole)
				}
				return
			}
		}
		after = page.Next
	}
}
