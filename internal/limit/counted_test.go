package limit

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func zone(t interface{ Fatal(...any) }, name string) *time.Location {
	location, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return location
}

// A period is used up to its last instant, and the next one is whole from its first.
func TestAQuotaIsWholeWhenItsPeriodBegins(t *testing.T) {
	berlin, newYork := zone(t, "Europe/Berlin"), zone(t, "America/New_York")
	at := func(text string) time.Time {
		parsed, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	tests := map[string]struct {
		calendar   *Calendar
		used       time.Time // the period is used up here
		begins     time.Time // and the next one begins here
		afterwards time.Time // and the one after that here
	}{
		"the end of February":                   {NewCalendar(Monthly, 31, nil), at("2026-02-27T23:00:00Z"), at("2026-02-28T00:00:00Z"), at("2026-03-31T00:00:00Z")},
		"the end of February in a leap year":    {NewCalendar(Monthly, 31, nil), at("2028-02-28T12:00:00Z"), at("2028-02-29T00:00:00Z"), at("2028-03-31T00:00:00Z")},
		"over the leap day":                     {NewCalendar(Monthly, 1, nil), at("2028-02-29T23:59:59Z"), at("2028-03-01T00:00:00Z"), at("2028-04-01T00:00:00Z")},
		"on a leap day":                         {NewCalendar(Daily, 1, nil), at("2028-02-29T00:00:00Z"), at("2028-03-01T00:00:00Z"), at("2028-03-02T00:00:00Z")},
		"a month over the start of summer time": {NewCalendar(Monthly, 1, berlin), at("2026-03-29T01:30:00Z"), at("2026-03-31T22:00:00Z"), at("2026-04-30T22:00:00Z")},
		"a day of 23 hours":                     {NewCalendar(Daily, 1, berlin), at("2026-03-28T23:00:00Z"), at("2026-03-29T22:00:00Z"), at("2026-03-30T22:00:00Z")},
		"a day of 25 hours":                     {NewCalendar(Daily, 1, newYork), at("2026-11-01T05:30:00Z"), at("2026-11-02T05:00:00Z"), at("2026-11-03T05:00:00Z")},
		"a week over the end of summer time":    {NewCalendar(Weekly, 7, newYork), at("2026-10-31T12:00:00Z"), at("2026-11-01T04:00:00Z"), at("2026-11-08T05:00:00Z")},
		"the end of a year":                     {NewCalendar(Monthly, 30, nil), at("2026-12-29T23:00:00Z"), at("2026-12-30T00:00:00Z"), at("2027-01-30T00:00:00Z")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			rule := Rule{Kind: Quota, Max: 5, Calendar: test.calendar}
			var bucket Bucket
			if got := rule.Take(&bucket, test.used, 5); !got.Allowed || got.Remaining != 0 || !got.ResetAt.Equal(test.begins) {
				t.Fatalf("five of five: %+v", got)
			}
			last := test.begins.Add(-time.Nanosecond)
			if got := rule.Take(&bucket, last, 1); got.Allowed || got.RetryAfter != 1 {
				t.Errorf("in the last instant: %+v", got)
			}
			if got := rule.Take(&bucket, test.begins, 5); !got.Allowed || !got.ResetAt.Equal(test.afterwards) {
				t.Errorf("in the first instant of the next: %+v", got)
			}
			if got := rule.Take(&bucket, test.afterwards.Add(-time.Second), 1); got.Allowed {
				t.Errorf("a sixth in the next: %+v", got)
			}
			if got := rule.Take(&bucket, test.afterwards, 1); !got.Allowed {
				t.Errorf("in the one after that: %+v", got)
			}
		})
	}
}

func TestTheRequestThatCrossesABudgetPassesAndTheNextDoesNot(t *testing.T) {
	budget := Rule{Kind: Budget, Max: 1000, Calendar: NewCalendar(Daily, 1, nil)}
	var bucket Bucket
	for i, step := range []struct {
		take, charge int64
		allowed      bool
		left         int64
	}{
		{0, 600, true, 400}, // its cost is known afterwards
		{300, 0, true, 100}, // its cost is known before
		{101, 0, false, 100},
		{0, 5000, true, 0}, // this one crosses
		{0, 0, false, 0},
		{1, 0, false, 0},
	} {
		if got := budget.Take(&bucket, start, step.take); got.Allowed != step.allowed {
			t.Errorf("step %d: %+v", i, got)
		}
		budget.Charge(&bucket, start, step.charge)
		if got := budget.Look(&bucket, start).Remaining; got != step.left {
			t.Errorf("step %d leaves %d, want %d", i, got, step.left)
		}
	}
	if got := budget.Take(&bucket, start.AddDate(0, 0, 1), 0); !got.Allowed || got.Remaining != 1000 {
		t.Errorf("the next day: %+v", got)
	}
}

func TestTheLargestBudgetHoldsWhatIsReported(t *testing.T) {
	budget := Rule{Kind: Budget, Max: MaxCounted, Calendar: NewCalendar(Monthly, 1, nil)}
	var bucket Bucket
	for range 10 {
		budget.Charge(&bucket, start, MaxCounted)
	}
	if got := budget.Take(&bucket, start, 0); got.Allowed || got.Remaining != 0 {
		t.Errorf("ten times the budget was spent, and %+v", got)
	}
	if got := budget.Take(&bucket, start.AddDate(0, 1, 0), MaxCounted); !got.Allowed {
		t.Errorf("the next month: %+v", got)
	}
}

// The model counts in a map what was admitted in each period, and knows no word. A clock that is set
// back frees nothing of the latest period that was reached.
func TestAQuotaAdmitsExactlyItsMaxInEachPeriod(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		calendar := NewCalendar(
			rapid.SampledFrom([]Reset{Daily, Weekly, Monthly}).Draw(t, "reset"), rapid.IntRange(1, 31).Draw(t, "anchor"),
			zone(t, rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/Havana", "Pacific/Apia"}).Draw(t, "zone")))
		rule := Rule{Kind: Quota, Max: rapid.Int64Range(1, 20).Draw(t, "max"), Calendar: calendar}
		var (
			bucket   Bucket
			admitted = map[int]int64{}
			latest   int
			now      = start
		)
		for range 100 {
			now = now.Add(time.Duration(rapid.Int64Range(-int64(72*time.Hour), int64(120*time.Hour)).Draw(t, "step")))
			cost := rapid.Int64Range(1, 5).Draw(t, "cost")
			counting := max(latest, calendar.At(now).EndDay)
			allowed := rule.Take(&bucket, now, cost).Allowed
			if want := cost <= rule.Max-admitted[counting]; allowed != want {
				t.Fatalf("%d of %d used at %v, asked for %d: allowed %v", admitted[counting], rule.Max, now, cost, allowed)
			}
			if allowed {
				latest = counting
				admitted[counting] += cost
			}
		}
	})
}

// Whatever a rule is made into, as much is used of it as before, as far as it can hold that, and asking for
// more than is left is refused.
func TestCarryingOverHandsOutNothing(t *testing.T) {
	draw := func(t *rapid.T, counts bool) Rule {
		if counts {
			return Rule{Kind: Quota, Max: rapid.Int64Range(1, 50).Draw(t, "max"), Calendar: NewCalendar(
				rapid.SampledFrom([]Reset{Daily, Weekly, Monthly}).Draw(t, "reset"), rapid.IntRange(1, 31).Draw(t, "anchor"),
				zone(t, rapid.SampledFrom([]string{"UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"}).Draw(t, "zone")))}
		}
		return drawRate(t)
	}
	rapid.Check(t, func(t *rapid.T) {
		counts := rapid.Bool().Draw(t, "quotas")
		before, after := draw(t, counts), draw(t, counts)
		var bucket Bucket
		now := start
		for range rapid.IntRange(0, 20).Draw(t, "requests") {
			before.Take(&bucket, now, 1)
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "pause")))
		}
		used := before.Capacity() - before.Look(&bucket, now).Remaining
		if s := spanOf(bucket.Word()); before.Kind == Span && after.Kind == Span && before.Per != after.Per {
			// A span is as long as the new rule says, from when it began.
			if used = s.count; now.Sub(epoch.Add(time.Duration(s.began)*time.Millisecond)) >= after.Per {
				used = 0
			}
		}
		if !after.Succeeds(&before) {
			t.Fatalf("%+v does not succeed %+v", after, before)
		}
		bucket.SetWord(after.Carry(&before, bucket.Word(), now))
		if left, want := after.Look(&bucket, now).Remaining, max(0, after.Capacity()-used); left > want || left < want-1 {
			t.Fatalf("of %+v %d were used, and of %+v %d are left, want %d", before, used, after, left, want)
		}
	})
}

func TestConcurrencyIsTakenAndGivenBackWithTheRest(t *testing.T) {
	two, one := Rule{Kind: Concurrency, Max: 2, Per: time.Minute}, Rule{Max: 1, Per: time.Hour}
	attached := []Attached{{Rule: &two, Slots: &Slots{}}, {Rule: &one, Bucket: &Bucket{}}}
	results, refused := TakeAll(attached, start, Cost{Requests: 1, Number: 1}, nil)
	if refused != -1 || results[0].Remaining != 1 || !results[0].ResetAt.Equal(start.Add(time.Minute)) {
		t.Fatalf("the first: %d %+v", refused, results)
	}
	if results, refused = TakeAll(attached, start, Cost{Requests: 1, Number: 2}, nil); refused != 1 || results[0].Remaining != 1 {
		t.Fatalf("the second: %d %+v", refused, results)
	}
	if inUse, _ := attached[0].Slots.InUse(start.UnixNano()); inUse != 1 {
		t.Errorf("%d are under way, want 1", inUse)
	}
	attached[0].Take(start, Cost{Number: 3})
	full := attached[0].Probe(start, Cost{Number: 4})
	if full.Allowed || full.RetryAfter <= 0 || full.RetryAfter > time.Second {
		t.Errorf("a third at once: %+v", full)
	}
	if got := attached[0].Take(start.Add(time.Minute), Cost{Number: 4}); !got.Allowed {
		t.Errorf("after the timeout: %+v", got)
	}
}
