package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

// of two kinds of events that differ in every dimension, the first comes once and the second twice.
func (f *fixture) different(t testing.TB) (values map[usagestore.Dimension][2]string) {
	t.Helper()
	values = map[usagestore.Dimension][2]string{
		usagestore.ByWorkspace: {"team/one", "team/two"}, usagestore.ByKey: {keyid.Derive("a").String(), keyid.Derive("b").String()},
		usagestore.ByServiceAccount: {"", "robot"}, usagestore.ByEntityKind: {"Agent", "Member"}, usagestore.ByEntity: {"ada", "bob"},
		usagestore.ByDepartment: {"sales", "research"}, usagestore.ByEnvironment: {"live", "test"},
		usagestore.ByStatus: {"denied", "failed"}, usagestore.ByError: {"RATE_LIMITED", "it broke"},
		usagestore.ByTier: {"gold", "silver"}, usagestore.ByDomain: {"shop.Example", "%_'\";"}, usagestore.ByResource: {"r/1", "r/2"},
	}
	at := func(i int) func(usagestore.Dimension) string {
		return func(d usagestore.Dimension) string { return values[d][i] }
	}
	kind := func(i int, key string, status usage.Status, request string) usage.Event {
		v := at(i)
		return usage.Event{
			Key: keyid.Derive(key), At: november, PeriodStart: november.Truncate(time.Hour), RequestID: request, SpendMicrocents: 1,
			Attribution: usage.Attribution{
				Workspace: v(usagestore.ByWorkspace), ServiceAccount: v(usagestore.ByServiceAccount), EntityKind: v(usagestore.ByEntityKind),
				EntityID: v(usagestore.ByEntity), Department: v(usagestore.ByDepartment), Environment: v(usagestore.ByEnvironment),
			},
			Details: usage.Details{
				Status: status, Error: v(usagestore.ByError), Tier: v(usagestore.ByTier), Domain: v(usagestore.ByDomain), Resource: v(usagestore.ByResource),
			},
			Remaining: usage.NoLimit, BudgetRemaining: usage.NoLimit, KeepLine: 24 * time.Hour,
		}
	}
	f.add(t, kind(0, "a", usage.Denied, "1"), kind(1, "b", usage.Failed, "2"), kind(1, "b", usage.Failed, "3"))
	return values
}

var day = usagestore.Query{From: november.Truncate(24 * time.Hour), To: november.Truncate(24*time.Hour).AddDate(0, 0, 1)}

func testDimensions(t *testing.T, f *fixture) {
	values := f.different(t)
	for _, d := range usagestore.Dimensions {
		for name, every := range map[string]usagestore.Bucket{"whole": "", "by hour": usagestore.ByHour, "by minute": usagestore.ByMinute} {
			q := day
			q.By, q.Every = []usagestore.Dimension{d}, every
			got := map[string]int64{}
			for _, row := range f.rows(t, q) {
				got[row.Values[0]] += row.SpendMicrocents
			}
			if len(got) != 2 || got[values[d][0]] != 1 || got[values[d][1]] != 2 {
				t.Errorf("%s by %s: %v", name, d, got)
			}
		}
	}
	q := day
	q.By = usagestore.Dimensions
	if rows := f.rows(t, q); len(rows) != 2 {
		t.Errorf("by all dimensions there are %d rows", len(rows))
	}
}

func testFilters(t *testing.T, f *fixture) {
	values := f.different(t)
	for _, d := range usagestore.Dimensions {
		for i, want := range []int64{1, 2} {
			q := day
			q.Filter = equal(d, values[d][i])
			if got := f.sum(t, q.From, q.To, q.Filter).SpendMicrocents; got != want {
				t.Errorf("with %s %q there is %d, want %d", d, values[d][i], got, want)
			}
			page, err := f.Log(t.Context(), &usagestore.LogQuery{From: q.From, To: q.To, Filter: q.Filter, Page: 1, PageSize: 10})
			if err != nil || page.Total != want {
				t.Errorf("with %s %q %d lines are logged, %v; want %d", d, values[d][i], page.Total, err, want)
			}
		}
		both, none := equal(d, values[d][0], values[d][1], "other"), equal(d)
		if all, nothing := f.sum(t, day.From, day.To, both).SpendMicrocents, f.sum(t, day.From, day.To, none).SpendMicrocents; all != 3 || nothing != 0 {
			t.Errorf("with both of %s there is %d, and with none %d", d, all, nothing)
		}
	}
}

func testHostileTexts(t *testing.T, f *fixture) {
	f.different(t)
	for part, want := range map[string]int64{
		"SHOP": 1, "shop.example": 1, ".ex": 1, "%": 2, "_": 2, "'": 2, `"`: 2, `\`: 0, "%_'\";": 2, "' OR 1=1 --": 0, "$1": 0, "?1": 0,
	} {
		if got := f.sum(t, day.From, day.To, usagestore.Filter{DomainContains: part}).SpendMicrocents; got != want {
			t.Errorf("domains with %q come to %d, want %d", part, got, want)
		}
	}
	for _, text := range []string{"' OR '1'='1", "x; DROP TABLE log", "\\", "ü€"} {
		if got := f.sum(t, day.From, day.To, equal(usagestore.ByTier, text)); got != (usage.Totals{}) {
			t.Errorf("tier %q comes to %+v", text, got)
		}
	}
}

func testBuckets(t *testing.T, f *fixture) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	kolkata, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		t.Fatal(err)
	}
	// Over the night in which the clocks in Berlin went back, one event in each half hour.
	begin := time.Date(2026, time.October, 23, 0, 0, 0, 0, time.UTC)
	var events []usage.Event
	for i := range 2 * 24 * 5 {
		events = append(events, decided("a", begin.Add(time.Duration(i)*30*time.Minute+time.Second), "", logged, func(e *usage.Event) { e.Quarters = true }))
	}
	f.add(t, events...)
	for _, test := range []struct {
		name     string
		from, to time.Time
		every    usagestore.Bucket
		zone     *time.Location
		want     string
	}{
		{"days of UTC", begin, begin.AddDate(0, 0, 3), usagestore.ByDay, nil, "23T00:00 48, 24T00:00 48, 25T00:00 48"},
		{"a day of 25 hours", time.Date(2026, 10, 24, 0, 0, 0, 0, berlin), time.Date(2026, 10, 27, 0, 0, 0, 0, berlin), usagestore.ByDay, berlin,
			"24T00:00 48, 25T00:00 50, 26T00:00 48"},
		{"days of which none begins with an hour of UTC", time.Date(2026, 10, 24, 0, 0, 0, 0, kolkata), time.Date(2026, 10, 26, 0, 0, 0, 0, kolkata),
			usagestore.ByDay, kolkata, "24T00:00 48, 25T00:00 48"},
		{"hours", begin.Add(30 * time.Minute), begin.Add(2 * time.Hour), usagestore.ByHour, nil, "23T00:00 1, 23T01:00 2"},
		{"minutes", begin.Add(59 * time.Minute), begin.Add(61 * time.Minute), usagestore.ByMinute, nil, "23T01:00 1"},
		{"weeks", begin, begin.AddDate(0, 0, 5), usagestore.ByWeek, nil, "19T00:00 144, 26T00:00 96"},
		{"months", begin, begin.AddDate(0, 0, 5), usagestore.ByMonth, berlin, "01T00:00 240"},
		{"not at all", begin, begin.AddDate(0, 0, 5), "", nil, "01T00:00 240"},
	} {
		t.Run(test.name, func(t *testing.T) {
			q := usagestore.Query{From: test.from, To: test.to, Every: test.every, Zone: test.zone, Filter: equal(usagestore.ByWorkspace, "team/shop")}
			counted := map[int64]int64{}
			for _, row := range f.rows(t, q) {
				counted[row.Start.Unix()] += row.Requests
				if test.every == "" && !row.Start.IsZero() {
					t.Errorf("what is not cut begins at %v", row.Start)
				}
			}
			got := ""
			for _, start := range usagestore.Starts(&q) {
				if test.every == "" {
					got = fmt.Sprintf("01T00:00 %d", counted[time.Time{}.Unix()])
					break
				}
				if counted[start.Unix()] == 0 {
					continue
				}
				if got != "" {
					got += ", "
				}
				got += fmt.Sprintf("%s %d", start.Format("02T15:04"), counted[start.Unix()])
			}
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
