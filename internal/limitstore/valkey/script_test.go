package valkey

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/limitstore"
	"github.com/claviger-dev/claviger/test/valkeyserver"
)

// A server that was emptied goes on from what is known here.
func TestAnEmptiedServerHandsOutNoNewAllowance(t *testing.T) {
	m := newTeam(t, 1, Options{})
	for _, r := range kinds()[:4] {
		asks := m.asks(r)
		for range 60 {
			m.take(m.stores[0], asks[0])
		}
		m.server.Flush()
		if got := m.takeAll(asks, 90); got != 30 {
			t.Errorf("%v: %d more are admitted after 60 of 90", r.Kind, got)
		}
		// Now nobody has anything to take, and what is known here must get there as well.
		m.server.Flush()
		m.take(m.stores[0], asks[0])
		fresh := asks[0]
		fresh.Known = new(limit.Bucket)
		if m.take(m.stores[0], fresh) {
			t.Errorf("%v: one is admitted to who knew of nothing", r.Kind)
		}
		m.clock.advance(r.Per + 24*time.Hour)
		m.server.Flush()
		if got := m.takeAll(asks, 90); got != 90 {
			t.Errorf("%v: %d are admitted when it is whole again", r.Kind, got)
		}
	}
}

func TestAServerThatIsEmptyAfterARestartHandsOutNoNewAllowance(t *testing.T) {
	t.Parallel()
	m := &team{t: t, server: valkeyserver.Start(t), clock: newClock()}
	m.stores = []*Store{start(t, Options{URL: m.server.URL(), Now: m.clock.Now})}
	for _, r := range kinds()[:4] {
		asks := m.asks(r)
		for range 60 {
			m.take(m.stores[0], asks[0])
		}
		m.away()
		during := 0
		for range 10 {
			if m.take(m.stores[0], asks[0]) {
				during++
			}
		}
		m.back()
		if got := m.takeAll(asks, 90); got != 20 || during != 10 {
			t.Errorf("%v: after 60 of 90, %d are admitted in the outage and %d after it", r.Kind, during, got)
		}
	}
}

func TestScriptsThatTheServerForgotAreToldAgain(t *testing.T) {
	m := newTeam(t, 1, Options{})
	asks := m.asks(kinds()[0])
	m.take(m.stores[0], asks[0])
	m.server.Do("SCRIPT", "FLUSH")
	if got := m.takeAll(asks, 90); got != 89 {
		t.Errorf("%d are admitted after the first", got)
	}
	if n := failures(m.stores[0]); n != 0 {
		t.Errorf("%d questions failed", n)
	}
}

// Whoever edits a rule gets nothing from it, and loses nothing.
func TestAnEditHandsOutNothing(t *testing.T) {
	m := newTeam(t, 1, Options{})
	zone := time.FixedZone("far", 14*3600) // where it is tomorrow already
	monthly := limit.NewCalendar(limit.Monthly, 1, nil)
	tests := map[string]struct {
		before, after limit.Rule
		used, left    int // of used, so many may be taken after the edit
	}{
		"a higher span":                      {limit.Rule{Max: 5, Per: time.Minute}, limit.Rule{Max: 8, Per: time.Minute}, 5, 3},
		"a lower span":                       {limit.Rule{Max: 5, Per: time.Minute}, limit.Rule{Max: 2, Per: time.Minute}, 5, 0},
		"a longer span":                      {limit.Rule{Max: 5, Per: time.Minute}, limit.Rule{Max: 5, Per: time.Hour}, 3, 2},
		"a span made a token bucket":         {limit.Rule{Max: 5, Per: time.Minute}, limit.Rule{Kind: limit.Tokens, Max: 5, Burst: 10, Per: time.Hour}, 3, 7},
		"a token bucket made a span":         {limit.Rule{Kind: limit.Tokens, Max: 5, Burst: 5, Per: time.Hour}, limit.Rule{Max: 9, Per: time.Minute}, 3, 6},
		"a slower flow":                      {limit.Rule{Kind: limit.Tokens, Max: 60, Burst: 10, Per: time.Minute}, limit.Rule{Kind: limit.Tokens, Max: 1, Burst: 10, Per: time.Hour}, 6, 4},
		"a faster flow":                      {limit.Rule{Kind: limit.Tokens, Max: 1, Burst: 10, Per: time.Hour}, limit.Rule{Kind: limit.Tokens, Max: 60, Burst: 10, Per: time.Minute}, 6, 4},
		"a larger burst":                     {limit.Rule{Kind: limit.Tokens, Max: 6, Burst: 3, Per: time.Hour}, limit.Rule{Kind: limit.Tokens, Max: 6, Burst: 5, Per: time.Hour}, 3, 2},
		"a higher quota":                     {limit.Rule{Kind: limit.Quota, Max: 5, Calendar: monthly}, limit.Rule{Kind: limit.Quota, Max: 8, Calendar: monthly}, 5, 3},
		"a month made a day":                 {limit.Rule{Kind: limit.Quota, Max: 5, Calendar: monthly}, limit.Rule{Kind: limit.Quota, Max: 5, Calendar: limit.NewCalendar(limit.Daily, 1, nil)}, 3, 2},
		"a day made a month":                 {limit.Rule{Kind: limit.Budget, Max: 5, Calendar: limit.NewCalendar(limit.Daily, 1, nil)}, limit.Rule{Kind: limit.Budget, Max: 5, Calendar: monthly}, 3, 2},
		"another zone, where it is tomorrow": {limit.Rule{Kind: limit.Quota, Max: 5, Calendar: limit.NewCalendar(limit.Daily, 1, nil)}, limit.Rule{Kind: limit.Quota, Max: 5, Calendar: limit.NewCalendar(limit.Daily, 1, zone)}, 3, 2},
		"fewer requests at once":             {limit.Rule{Kind: limit.Concurrency, Max: 5, Per: time.Hour}, limit.Rule{Kind: limit.Concurrency, Max: 4, Per: time.Minute}, 3, 1},
		"a quota that was a span is new":     {limit.Rule{Max: 5, Per: time.Minute}, limit.Rule{Kind: limit.Quota, Max: 5, Calendar: monthly}, 3, 5},
		"a span that was a number at once":   {limit.Rule{Kind: limit.Concurrency, Max: 5, Per: time.Minute}, limit.Rule{Max: 5, Per: time.Minute}, 3, 5},
		"a number at once that was a span":   {limit.Rule{Max: 5, Per: time.Minute}, limit.Rule{Kind: limit.Concurrency, Max: 5, Per: time.Minute}, 3, 5},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := ask(&test.before)
			for range test.used {
				m.take(m.stores[0], a)
			}
			a.Rule, a.Known = &test.after, new(limit.Bucket)
			if got := m.takeAll([]Ask{a}, 100); got != test.left {
				t.Errorf("%d are admitted after %d, want %d", got, test.used, test.left)
			}
		})
	}
}

// The period of the calendar that was edited is over: what counted in it counts no more.
func TestAnEditAfterThePeriodLeavesNothing(t *testing.T) {
	m := newTeam(t, 1, Options{})
	a := ask(&limit.Rule{Kind: limit.Quota, Max: 5, Calendar: limit.NewCalendar(limit.Daily, 1, nil)})
	m.takeAll([]Ask{a}, 5)
	m.clock.advance(25 * time.Hour)
	a.Rule, a.Known = &limit.Rule{Kind: limit.Quota, Max: 5, Calendar: limit.NewCalendar(limit.Monthly, 1, nil)}, new(limit.Bucket)
	if got := m.takeAll([]Ask{a}, 5); got != 5 {
		t.Errorf("%d are admitted", got)
	}
}

// What was granted in one span or period is not given back in the next.
func TestWhatWasGrantedIsGivenBackInItsOwnPeriodOnly(t *testing.T) {
	m := newTeam(t, 1, Options{})
	draw := func(r *limit.Rule, a Ask, used, epoch, want int64) limitstore.Grant {
		t.Helper()
		grants, err := m.stores[0].Draw(context.Background(), m.clock.Now(), []limitstore.Draw{
			{Counter: a.Counter, Rule: r, Known: a.Known, Used: used, Epoch: epoch, Want: want},
		})
		if err != nil {
			t.Fatal(err)
		}
		return grants[0]
	}
	for _, r := range kinds()[:4] {
		a := ask(r)
		first := draw(r, a, 0, 0, 200)
		if first.Amount != 90 || first.Left != 0 {
			t.Errorf("%v: granted %+v", r.Kind, first)
		}
		if none := draw(r, a, 0, 0, 5); none.Amount != 0 || !none.RetryAt.After(m.clock.Now()) {
			t.Errorf("%v: with nothing left, granted %+v", r.Kind, none)
		}
		if again := draw(r, a, -40, first.Epoch, 30); again.Amount != 30 || again.Left != 10 || again.Epoch != first.Epoch {
			t.Errorf("%v: of 40 given back, granted %+v", r.Kind, again)
		}
		if r.Kind == limit.Tokens {
			if first.Epoch != 0 || !first.Until.IsZero() {
				t.Errorf("tokens are granted in %+v", first)
			}
			continue
		}
		if first.Epoch == 0 || !first.Until.After(m.clock.Now()) {
			t.Errorf("%v: granted %+v", r.Kind, first)
		}
		m.clock.advance(r.Per + 24*time.Hour)
		next := draw(r, a, 0, 0, 50)
		if next.Epoch == first.Epoch {
			t.Errorf("%v: two periods are the same", r.Kind)
		}
		if late := draw(r, a, -50, first.Epoch, 0); late.Left != 40 {
			t.Errorf("%v: what is given back late leaves %d", r.Kind, late.Left)
		}
		if over := draw(r, a, 70, 0, 0); over.Left != 0 {
			t.Errorf("%v: more than there is was used, and leaves %d", r.Kind, over.Left)
		}
	}
}

func TestRequestsOfOneIdAreCountedEach(t *testing.T) {
	m := newTeam(t, 1, Options{})
	a := ask(&limit.Rule{Kind: limit.Concurrency, Max: 200, Per: time.Minute})
	hold := func(id string) bool {
		results, err := m.stores[0].Take(context.Background(), m.clock.Now(), []Ask{a}, limit.Cost{}, id, nil)
		if err != nil {
			t.Fatal(err)
		}
		return results[0].Allowed
	}
	for i := range 200 {
		if !hold("same") {
			t.Fatalf("the request after %d is refused", i)
		}
	}
	if hold("same") || hold("other") {
		t.Error("one more is allowed")
	}
	m.stores[0].Release(context.Background(), m.clock.Now(), []Ask{a}, "other")
	if hold("other") {
		t.Error("one is allowed for what was never there")
	}
	for range 2 {
		m.stores[0].Release(context.Background(), m.clock.Now(), []Ask{a}, "same")
	}
	if !hold("same") || !hold("other") || hold("same") {
		t.Error("two were released, and not two are allowed")
	}
	m.clock.advance(time.Minute)
	if !hold("same") {
		t.Error("requests that are not reported done are under way for ever")
	}
}

// So many of one id are told apart, and whoever always sends the same one holds up nobody.
func TestRequestsOfOneIdAreBounded(t *testing.T) {
	m := newTeam(t, 1, Options{})
	a := ask(&limit.Rule{Kind: limit.Concurrency, Max: limit.MaxConcurrency, Per: time.Minute})
	there := []string{"ZADD", string(appendKey(nil, a.Counter))}
	for i := range 2000 {
		there = append(there, fmt.Sprint(m.clock.Now().Add(time.Minute).UnixMicro()), fmt.Sprint("same:", i))
	}
	m.server.Do(there...)
	for id, want := range map[string]bool{"same": false, "other": true} {
		results, err := m.stores[0].Take(context.Background(), m.clock.Now(), []Ask{a}, limit.Cost{}, id, nil)
		if err != nil || results[0].Allowed != want {
			t.Errorf("%s: %+v, %v", id, results, err)
		}
	}
}

// What is whole again takes no room.
func TestCountersVanishWhenTheyAreWholeAgain(t *testing.T) {
	m := newTeam(t, 1, Options{})
	for _, r := range kinds() {
		m.take(m.stores[0], ask(r))
	}
	for _, key := range m.server.Do("KEYS", "*").([]any) {
		if left := m.server.Do("PTTL", key.(string)).(int64); left <= 0 || left > (48*time.Hour).Milliseconds() {
			t.Errorf("%v is kept for %d ms", key, left)
		}
	}
}

func TestLargeAmountsAreExact(t *testing.T) {
	m := newTeam(t, 1, Options{})
	calendar := limit.NewCalendar(limit.Monthly, 1, nil)
	for _, r := range []*limit.Rule{
		{Kind: limit.Budget, Max: limit.MaxCounted, Calendar: calendar},
		{Kind: limit.Quota, Max: limit.MaxCounted, Calendar: calendar},
		{Kind: limit.Span, Max: limit.MaxRequests, Per: time.Hour},
		{Kind: limit.Tokens, Max: 1, Burst: limit.MaxRequests, Per: time.Minute},
	} {
		a, most := ask(r), r.Capacity()
		for _, step := range []struct {
			amount, remaining int64
			allowed           bool
		}{{most - 2, 2, true}, {3, 2, false}, {1, 1, true}, {1, 0, true}, {1, 0, false}} {
			results, err := m.stores[0].Take(context.Background(), m.clock.Now(), []Ask{a}, limit.Cost{Requests: step.amount, Microcents: step.amount}, "x", nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := results[0]; got.Allowed != step.allowed || got.Remaining != step.remaining {
				t.Errorf("%v: asked for %d: %+v", r.Kind, step.amount, got)
			}
		}
	}
}

// Several limits may be the same counter: an ApiKey and its Workspace name the same KeyLimit.
func TestACounterThatIsAskedForTwiceCountsTwice(t *testing.T) {
	m := newTeam(t, 1, Options{})
	for _, r := range kinds() {
		for group := range 2 {
			a := ask(r)
			again := a
			again.Group = group
			admitted := 0
			for {
				results, err := m.stores[0].Take(context.Background(), m.clock.Now(), []Ask{a, again}, limit.Cost{Requests: 1, Microcents: 1}, fmt.Sprint(admitted), nil)
				if err != nil {
					t.Fatal(err)
				}
				if !all(results[:2-group]) {
					break
				}
				admitted++
			}
			if admitted != 45 {
				t.Errorf("%v, the second time in group %d: %d requests of two are admitted, of 90", r.Kind, group, admitted)
			}
		}
	}
}
