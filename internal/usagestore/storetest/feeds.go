package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

func testPeriods(t *testing.T, f *fixture) {
	december := time.Date(2026, time.December, 1, 0, 0, 0, 0, time.UTC)
	f.add(t, decided("a", november, "", of("team/shop", "robot")), decided("idle", november, "", of("team/shop", "robot")))
	f.add(t, decided("a", december, "", of("team/shop", "robot")))
	f.add(t, decided("a", november, "", of("team/shop", "robot"))) // late
	for _, test := range []struct {
		now             time.Time
		a, idle, groups int64
	}{{november, 2, 1, 3}, {december, 1, 0, 1}, {december.AddDate(0, 1, 0), 0, 0, 0}} {
		keys := f.keys(t, test.now, months(test.now), "a", "idle")
		if a, idle := keys["a"].Period.Requests, keys["idle"].Period.Requests; a != test.a || idle != test.idle {
			t.Errorf("at %v a has %d and idle %d, want %d and %d", test.now, a, idle, test.a, test.idle)
		}
		for name, g := range f.groups(t, test.now, months(test.now)) {
			if g.Period.Requests != test.groups || !g.Period.Start.Equal(usagefeed.PeriodStart(test.now)) || g.Total.Requests != 4 {
				t.Errorf("at %v %s has %+v, want %d in the period", test.now, name, g, test.groups)
			}
		}
	}
}

// A workspace whose months begin on the 15th at first, and on the first from the 21st on: what was counted under
// the one period belongs to the other.
func testChangedPeriods(t *testing.T, f *fixture) {
	fifteenth := time.Date(2026, time.November, 15, 0, 0, 0, 0, time.UTC)
	first := time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)
	at := func(day int, period time.Time) usage.Event {
		return decided("a", time.Date(2026, time.November, day, 12, 0, 0, 0, time.UTC), "", of("team/shop", "robot"), costs(1),
			func(e *usage.Event) { e.PeriodStart = period })
	}
	f.add(t, at(10, fifteenth.AddDate(0, -1, 0)))
	f.add(t, at(16, fifteenth))
	f.add(t, at(22, first))
	f.add(t, at(23, fifteenth)) // and back again
	for start, want := range map[time.Time]int64{fifteenth: 3, first: 4} {
		period := func(string) (time.Time, time.Time) { return start, start.AddDate(0, 1, 0) }
		if got := f.keys(t, november, period, "a")["a"].Period; got.Requests != want || got.SpendMicrocents != want {
			t.Errorf("from %v on the key has %+v, want %d", start, got, want)
		}
		for name, g := range f.groups(t, november, period) {
			if g.Period.Requests != want {
				t.Errorf("from %v on %s has %+v, want %d", start, name, g.Period, want)
			}
		}
	}
}

func testGroups(t *testing.T, f *fixture) {
	f.add(t,
		decided("a", november, "", of("team/shop", "robot"), costs(5)), decided("b", november.Add(time.Hour), "RATE_LIMITED", of("team/shop", "robot")),
		decided("c", november, "", of("team/shop", "")), decided("d", november, "", of("other/shop", "robot")),
		decided("e", november, "", of("team_x/shop", "robot")), decided("f", november, "", of("teamyx/shop", "robot")))
	told := f.groups(t, november, months(november))
	want := map[string]usagefeed.Counts{
		"Workspace team/shop":         {Requests: 2, Denied: 1, SpendMicrocents: 5},
		"ServiceAccount team/robot":   {Requests: 1, Denied: 1, SpendMicrocents: 5},
		"Workspace other/shop":        {Requests: 1},
		"ServiceAccount other/robot":  {Requests: 1},
		"Workspace team_x/shop":       {Requests: 1},
		"ServiceAccount team_x/robot": {Requests: 1},
		"Workspace teamyx/shop":       {Requests: 1},
		"ServiceAccount teamyx/robot": {Requests: 1},
	}
	if len(told) != len(want) {
		t.Errorf("told is of %d groups, want %d", len(told), len(want))
	}
	for name, counts := range want {
		if got := told[name]; got.Total != counts || got.Period.Counts != counts {
			t.Errorf("%s has %+v, want %+v", name, got, counts)
		}
	}
	// Also where the period is not the one that was counted in.
	week := func(string) (time.Time, time.Time) {
		return november.Truncate(24 * time.Hour), november.AddDate(0, 0, 7)
	}
	for name, counts := range want {
		if got := f.groups(t, november, week)[name]; got.Period.Counts != counts {
			t.Errorf("%s has %+v in the week, want %+v", name, got.Period, counts)
		}
	}
	if got := told["ServiceAccount team/robot"].LastUsedAt; !got.Equal(november.Add(time.Hour)) {
		t.Errorf("the account was used last at %v", got)
	}
}

func testPages(t *testing.T, f *fixture) {
	const keys = usagefeed.PageSize + 10
	var events []usage.Event
	for i := range keys {
		events = append(events, decided(fmt.Sprint(i), november, "", of(fmt.Sprintf("team/%d", i), "")))
	}
	f.add(t, events...)
	page, err := f.Changes(t.Context(), 0, november, months(november))
	if err != nil || len(page.Keys) != usagefeed.PageSize {
		t.Fatalf("the first page has %d keys, %v", len(page.Keys), err)
	}
	rest, err := f.Changes(t.Context(), page.Next, november, months(november))
	if err != nil || len(rest.Keys) != 10 || rest.Epoch != page.Epoch {
		t.Fatalf("the second page has %d keys, %v", len(rest.Keys), err)
	}
	groups, err := f.Groups(t.Context(), 0, november, months(november))
	if err != nil || len(groups.Groups) != usagefeed.PageSize {
		t.Fatalf("the first page has %d groups, %v", len(groups.Groups), err)
	}
	if last, err := f.Changes(t.Context(), rest.Next, november, months(november)); err != nil || len(last.Keys) != 0 || last.Next != rest.Next {
		t.Errorf("with nothing new there is %+v, %v", last, err)
	}
	f.add(t, decided("7", november, "", of("team/7", "")))
	changed, err := f.Changes(t.Context(), rest.Next, november, months(november))
	if err != nil || len(changed.Keys) != 1 || changed.Keys[0].ID != keyid.Derive("7").String() || changed.Next <= rest.Next {
		t.Errorf("one that was used again is told as %+v, %v", changed, err)
	}
	if next, err := f.Changes(t.Context(), 0, november.AddDate(0, 1, 0), months(november.AddDate(0, 1, 0))); err != nil || next.Epoch == page.Epoch {
		t.Errorf("a new month is still epoch %s, %v", next.Epoch, err)
	}
}

func refusedBy(limit string, until time.Time) edit {
	return func(e *usage.Event) { e.Refusal = &usage.Refusal{By: limit, Until: until} }
}

func testRefusals(t *testing.T, f *fixture) {
	tonight, soon := november.Add(12*time.Hour), november.Add(time.Minute)
	f.add(t,
		decided("a", november, "QUOTA_EXHAUSTED", refusedBy("quota", tonight)), decided("b", november, "RATE_LIMITED", refusedBy("rate", soon)),
		decided("c", november, "", func(e *usage.Event) { e.Refusal = &usage.Refusal{Shadows: []string{"tried"}} }))
	limits := func(now time.Time) map[string]usagefeed.Limit {
		page, err := f.Limits(t.Context(), 0, now)
		if err != nil {
			t.Fatal(err)
		}
		told := map[string]usagefeed.Limit{}
		for _, l := range page.Limits {
			told[l.ID] = l
		}
		return told
	}
	told := limits(november)
	for _, want := range []usagefeed.Limit{
		{ID: "quota", Denied: 1, ExhaustedKeys: 1}, {ID: "rate", Denied: 1, ThrottledKeys: 1}, {ID: "tried", ShadowDenied: 1},
	} {
		if got := told[want.ID]; got != want {
			t.Errorf("told is %+v, want %+v", got, want)
		}
	}
	keys := f.keys(t, november, months(november), "a", "b")
	if e := keys["a"].Exhausted; e == nil || e.Limit != "quota" || e.Code != "QUOTA_EXHAUSTED" || !e.ResetAt.Equal(tonight) || keys["b"].Exhausted != nil {
		t.Errorf("a and b tell of %+v and %+v", keys["a"].Exhausted, keys["b"].Exhausted)
	}
	after, err := f.Limits(t.Context(), 0, november)
	if err != nil {
		t.Fatal(err)
	}
	all := func(keyid.ID, string) bool { return true }
	if over, err := f.Lapse(t.Context(), november.Add(time.Hour), all); over != 1 || err != nil {
		t.Errorf("%d are over within the hour, %v; want 1", over, err)
	}
	if page, err := f.Limits(t.Context(), after.Next, november.Add(time.Hour)); err != nil || len(page.Limits) != 1 || page.Limits[0].ThrottledKeys != 0 {
		t.Errorf("that it is over is told as %+v, %v", page, err)
	}
	if over, err := f.Lapse(t.Context(), november.Add(time.Hour), func(_ keyid.ID, limit string) bool { return limit != "quota" }); over != 1 || err != nil {
		t.Errorf("%d are over since the limit holds no more, %v; want 1", over, err)
	}
	if e := f.keys(t, november, months(november), "a")["a"].Exhausted; e != nil {
		t.Errorf("a still tells of %+v", e)
	}
}
