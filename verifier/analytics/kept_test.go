package analytics

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

// hoursSince is since when hours are kept now.
var hoursSince = time.Date(2025, time.February, 1, 0, 0, 0, 0, time.UTC)

// inYears is a fixture in which k was used every five hours for two years and more, and what is past keeping is gone.
func inYears(t testing.TB, zone string) (f *fixture, used []time.Time) {
	f = newFixture(t, func(s *v1alpha1.WorkspaceSpec) {
		s.Billing = &v1alpha1.Billing{ResetPeriod: v1alpha1.ResetMonthly, TimeZone: zone}
	})
	var events []usage.Event
	for at := now.AddDate(-2, -2, 0); at.Before(now); at = at.Add(5 * time.Hour) {
		used = append(used, at)
		events = append(events, event(t, "k", shop, at, usage.Allowed, spends(1, usage.Details{}), func(e *usage.Event) { e.KeepLine = 0 }))
	}
	f.add(t, events...)
	if err := f.store.Expire(t.Context(), now, func(string) (time.Duration, bool) { return 0, false }); err != nil {
		t.Fatal(err)
	}
	return f, used
}

// between is how often something was used in a range.
func between(used []time.Time, from, to time.Time) (count int64) {
	for _, at := range used {
		if !at.Before(from) && at.Before(to) {
			count++
		}
	}
	return count
}

// ranged is what the answers to questions about a range have in common.
type ranged struct {
	told
	totals
}

func TestHistoryLosesNothingWhoseHoursAreNotKept(t *testing.T) {
	for _, zone := range []string{"America/New_York", "Europe/Berlin", "Asia/Kolkata", "Pacific/Auckland", "UTC"} {
		f, used := inYears(t, zone)
		target, headers := f.analytics("usage/history?months=24")
		periods := read[struct{ Periods []ranged }](t, f, target, headers...).Periods
		if len(periods) != 24 {
			t.Fatalf("%s: %d periods", zone, len(periods))
		}
		for i, p := range periods {
			if want := between(used, p.From, p.To); p.Requests != want || want == 0 {
				t.Errorf("%s: from %v to %v there are %d, want %d", zone, p.From, p.To, p.Requests, want)
			}
			if i > 0 && !p.To.Equal(periods[i-1].From) {
				t.Errorf("%s: a period ends at %v, and the next begins at %v", zone, p.To, periods[i-1].From)
			}
			if p.From.Before(hoursSince) && !p.From.Equal(p.From.UTC().Truncate(day)) {
				t.Errorf("%s: a period whose hours are not kept begins at %v", zone, p.From)
			}
			if p.From.After(hoursSince) && (p.From.Hour() != 0 || p.From.Minute() != 0) {
				t.Errorf("%s: a period whose hours are kept begins at %v", zone, p.From)
			}
		}
	}
}

// Whatever range is asked about in whatever zone, what is told of it is what was used in the range that is told, cut
// or not.
func TestRangesWhoseHoursAreNotKept(t *testing.T) {
	f, used := inYears(t, "UTC")
	rapid.Check(t, func(rt *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom([]string{"America/New_York", "Europe/Berlin", "Pacific/Auckland", "Asia/Tokyo", "UTC"}).Draw(rt, "zone"))
		if err != nil {
			rt.Fatal(err)
		}
		from := hoursSince.AddDate(0, 0, rapid.IntRange(-300, 40).Draw(rt, "from"))
		query := url.Values{"timeZone": {zone.String()}, "granularity": {rapid.SampledFrom([]string{"day", "week", "month"}).Draw(rt, "granularity")}}
		if days := rapid.IntRange(0, 300).Draw(rt, "days"); rapid.Bool().Draw(rt, "dates") {
			query.Set("from", from.Format(time.DateOnly))
			query.Set("to", from.AddDate(0, 0, days).Format(time.DateOnly))
		} else {
			from = from.Add(time.Duration(rapid.IntRange(0, 23).Draw(rt, "hour")) * time.Hour)
			query.Set("start", from.Format(time.RFC3339))
			query.Set("end", from.AddDate(0, 0, days+1).Add(time.Duration(rapid.IntRange(0, 23).Draw(rt, "hours"))*time.Hour).Format(time.RFC3339))
		}
		target, headers := f.analytics("usage?" + query.Encode())
		got := read[struct {
			ranged
			Points []point
		}](t, f, target, headers...)
		want := between(used, got.From, got.To)
		if got.Requests != want {
			rt.Errorf("%s: there are %d, want %d from %v to %v", target, got.Requests, want, got.From, got.To)
		}
		if d := got.From.Sub(from); query.Has("start") && (d > day/2 || d < -day/2) {
			rt.Errorf("%s: it begins at %v", target, got.From)
		}
		for i, p := range got.Points {
			begin, end := p.Start, got.To
			if begin.Before(got.From) {
				begin = got.From
			}
			if i+1 < len(got.Points) {
				end = got.Points[i+1].Start
			}
			if count := between(used, begin, end); p.Requests != count || !begin.Before(end) {
				rt.Errorf("%s: from %v to %v there are %d, want %d", target, begin, end, p.Requests, count)
			}
			want -= p.Requests
		}
		if want != 0 {
			rt.Errorf("%s: the points lack %d", target, want)
		}
	})
}

func TestOldUsageIsToldByTheDay(t *testing.T) {
	f, used := inYears(t, "America/New_York")
	old, before := "from=2025-01-10&to=2025-01-11", "start=2025-01-31T05:00:00Z&end=2025-02-02T05:00:00Z"
	for target, want := range map[string]string{
		WorkspacePath + "usage?granularity=hour&" + old:                             "ask for days",
		WorkspacePath + "usage?granularity=minute&" + old:                           "ask for days",
		WorkspacePath + "usage?granularity=hour&" + before:                          "2025-02-01T00:00:00Z",
		WorkspacePath + "report?dimensions=hour&" + old:                             "ask for days",
		KeysPath + id("k") + "/usage/timeseries?granularity=hour&" + old:            "ask for days",
		WorkspacePath + "usage?start=2025-01-10T01:00:00Z&end=2025-01-10T04:00:00Z": "less than a day",
	} {
		w := f.get(target, "X-API-Key", f.reader, "X-Workspace-Id", shop)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s, want %q", target, w.Code, w.Body, want)
		}
	}
	// Where hours would be usual there are days.
	target, headers := f.analytics("usage?" + old)
	got := read[struct {
		ranged
		Granularity usagestore.Bucket
		Points      []point
	}](t, f, target, headers...)
	if got.Granularity != usagestore.ByDay || len(got.Points) != 2 || got.Points[0].Requests+got.Points[1].Requests != between(used, got.From, got.To) {
		t.Errorf("%+v", got)
	}
	// And so in a report, in costs, and in what was before.
	target, headers = f.analytics("report?dimensions=month&metrics=requests&from=2024-12-01&to=2025-03-31")
	report := read[struct {
		told
		Rows []struct {
			Month    time.Time
			Requests int64
		}
	}](t, f, target, headers...)
	sum := int64(0)
	for _, row := range report.Rows {
		sum += row.Requests
	}
	if len(report.Rows) != 4 || sum != between(used, report.From, report.To) {
		t.Errorf("%d in %+v", sum, report)
	}
	target, headers = f.analytics("overview?from=2025-02-01&to=2025-02-28")
	overview := read[struct {
		ranged
		Before ranged
	}](t, f, target, headers...)
	if b := overview.Before; b.Requests != between(used, b.From, b.To) || !b.To.Equal(overview.From) || b.Requests == 0 || overview.Requests != between(used, overview.From, overview.To) {
		t.Errorf("%+v", overview)
	}
}

// The log knows any time, however old.
func TestTheLogIsCutAnywhere(t *testing.T) {
	f := newFixture(t)
	at := hoursSince.AddDate(0, 0, -3).Add(5 * time.Hour)
	f.add(t, event(t, "k", shop, at, usage.Allowed), event(t, "k", shop, at.Add(time.Minute), usage.Allowed))
	for length, want := range map[time.Duration]int64{time.Minute: 1, 2 * time.Minute: 2} {
		target := fmt.Sprintf("%sself/usage/requests?start=%s&end=%s", KeysPath, at.Format(time.RFC3339), at.Add(length).Format(time.RFC3339))
		if got := read[page](t, f, target, "X-API-Key", f.key); got.Total != want {
			t.Errorf("in %v there are %d lines, want %d", length, got.Total, want)
		}
	}
}

// In Lord Howe half hours are in use in winter alone, which is when usage there is counted by the quarter.
func TestAZoneThatIsHalfAnHourOffInWinter(t *testing.T) {
	f := newFixture(t, func(s *v1alpha1.WorkspaceSpec) {
		s.Billing = &v1alpha1.Billing{ResetPeriod: v1alpha1.ResetMonthly, TimeZone: "Australia/Lord_Howe"}
	})
	midnight := time.Date(2025, time.July, 9, 13, 30, 0, 0, time.UTC) // begins the 10th
	quarters := func(e *usage.Event) { e.Quarters = true }
	f.add(t, event(t, "k", shop, midnight.Add(-time.Minute), usage.Allowed, quarters), event(t, "k", shop, midnight.Add(time.Minute), usage.Allowed, quarters))
	target, headers := f.analytics("usage?from=2025-07-10&to=2025-07-10")
	if got := read[totals](t, f, target, headers...); got.Requests != 1 {
		t.Errorf("on a day of winter there are %d, want 1", got.Requests)
	}
	for query, want := range map[string]int{
		"from=2025-07-10&to=2025-12-10":                         200,
		"from=2026-01-10&to=2026-01-11":                         200,
		"from=2025-07-10&to=2025-07-10&timeZone=Asia%2FKolkata": 200,
		"from=2026-01-10&to=2026-01-11&timeZone=Asia%2FKolkata": 400, // what is counted by the hour has no halves
		"start=2025-07-10T13:45:00Z&end=2026-01-10T13:00:00Z":   200,
		"start=2025-07-10T13:45:00Z&end=2026-01-10T13:45:00Z":   400,
	} {
		target, headers := f.analytics("usage?granularity=month&" + query)
		if w := f.get(target, headers...); w.Code != want {
			t.Errorf("%s: %d %s, want %d", query, w.Code, w.Body, want)
		}
	}
}
