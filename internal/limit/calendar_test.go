package limit

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"
	_ "time/tzdata" // the machine that tests may have no zones

	"pgregory.net/rapid"
)

func TestCalendar(t *testing.T) {
	const berlin, newYork, havana, saoPaulo, apia = "Europe/Berlin", "America/New_York", "America/Havana", "America/Sao_Paulo", "Pacific/Apia"
	tests := map[string]struct {
		reset          Reset
		anchor         int
		zone           string
		at, start, end string // in local time
	}{
		"the 29th in an ordinary February":         {Monthly, 29, "UTC", "2023-02-28T00:00:00Z", "2023-02-28T00:00:00Z", "2023-03-29T00:00:00Z"},
		"the 30th in an ordinary February":         {Monthly, 30, "UTC", "2023-02-27T23:59:59Z", "2023-01-30T00:00:00Z", "2023-02-28T00:00:00Z"},
		"the 31st in an ordinary February":         {Monthly, 31, "UTC", "2023-03-30T12:00:00Z", "2023-02-28T00:00:00Z", "2023-03-31T00:00:00Z"},
		"the 29th in a leap year":                  {Monthly, 29, "UTC", "2024-02-28T23:59:59Z", "2024-01-29T00:00:00Z", "2024-02-29T00:00:00Z"},
		"the 30th in a leap year":                  {Monthly, 30, "UTC", "2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "2024-03-30T00:00:00Z"},
		"the 31st in a leap year":                  {Monthly, 31, "UTC", "2024-03-01T00:00:00Z", "2024-02-29T00:00:00Z", "2024-03-31T00:00:00Z"},
		"the 31st in a month of 30 days":           {Monthly, 31, berlin, "2025-04-30T00:00:00+02:00", "2025-04-30T00:00:00+02:00", "2025-05-31T00:00:00+02:00"},
		"no leap year in 2100":                     {Monthly, 29, "UTC", "2100-02-28T00:00:00Z", "2100-02-28T00:00:00Z", "2100-03-29T00:00:00Z"},
		"a leap day":                               {Daily, 0, berlin, "2024-02-29T12:00:00+01:00", "2024-02-29T00:00:00+01:00", "2024-03-01T00:00:00+01:00"},
		"a month over the turn of the year":        {Monthly, 15, berlin, "2026-01-01T00:00:00+01:00", "2025-12-15T00:00:00+01:00", "2026-01-15T00:00:00+01:00"},
		"a month in a zone ahead of UTC":           {Monthly, 1, berlin, "2025-12-31T23:30:00Z", "2026-01-01T00:00:00+01:00", "2026-02-01T00:00:00+01:00"},
		"a day of 23 hours in Berlin":              {Daily, 0, berlin, "2026-03-29T03:00:00+02:00", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"},
		"a day of 25 hours in Berlin":              {Daily, 0, berlin, "2026-10-25T02:30:00+01:00", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"},
		"a week that is an hour short in Berlin":   {Weekly, 1, berlin, "2026-03-29T23:59:59+02:00", "2026-03-23T00:00:00+01:00", "2026-03-30T00:00:00+02:00"},
		"a week that is an hour long in Berlin":    {Weekly, 7, berlin, "2026-10-25T02:30:00+01:00", "2026-10-25T00:00:00+02:00", "2026-11-01T00:00:00+01:00"},
		"a month that is an hour short in Berlin":  {Monthly, 1, berlin, "2026-03-31T23:59:59+02:00", "2026-03-01T00:00:00+01:00", "2026-04-01T00:00:00+02:00"},
		"a month that is an hour long in Berlin":   {Monthly, 1, berlin, "2026-10-31T23:59:59+01:00", "2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00"},
		"a day of 23 hours in New York":            {Daily, 0, newYork, "2026-03-08T12:00:00-04:00", "2026-03-08T00:00:00-05:00", "2026-03-09T00:00:00-04:00"},
		"a day of 25 hours in New York":            {Daily, 0, newYork, "2026-11-01T01:30:00-05:00", "2026-11-01T00:00:00-04:00", "2026-11-02T00:00:00-05:00"},
		"a week that is an hour short in New York": {Weekly, 7, newYork, "2026-03-08T12:00:00-04:00", "2026-03-08T00:00:00-05:00", "2026-03-15T00:00:00-04:00"},
		"a week that is an hour long in New York":  {Weekly, 1, newYork, "2026-11-01T01:30:00-05:00", "2026-10-26T00:00:00-04:00", "2026-11-02T00:00:00-05:00"},
		"a month that is an hour long in New York": {Monthly, 1, newYork, "2026-11-01T01:30:00-05:00", "2026-11-01T00:00:00-04:00", "2026-12-01T00:00:00-05:00"},
		"no midnight in São Paulo":                 {Daily, 0, saoPaulo, "2018-11-04T01:00:00-02:00", "2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"},
		"the day before no midnight in São Paulo":  {Daily, 0, saoPaulo, "2018-11-03T23:59:59-03:00", "2018-11-03T00:00:00-03:00", "2018-11-04T01:00:00-02:00"},
		"no midnight in Beirut":                    {Weekly, 7, "Asia/Beirut", "2024-03-31T01:00:00+03:00", "2024-03-31T01:00:00+03:00", "2024-04-07T00:00:00+03:00"},
		"no midnight in Cairo":                     {Monthly, 26, "Africa/Cairo", "2024-05-01T00:00:00+03:00", "2024-04-26T01:00:00+03:00", "2024-05-26T00:00:00+03:00"},
		"the first of two midnights in Havana":     {Daily, 0, havana, "2018-11-04T00:00:00-04:00", "2018-11-04T00:00:00-04:00", "2018-11-05T00:00:00-05:00"},
		"the second of two midnights in Havana":    {Daily, 0, havana, "2018-11-04T00:00:00-05:00", "2018-11-04T00:00:00-04:00", "2018-11-05T00:00:00-05:00"},
		"an evening that comes twice":              {Monthly, 1, "America/St_Johns", "2009-10-31T23:30:00-03:30", "2009-11-01T00:00:00-02:30", "2009-12-01T00:00:00-03:30"},
		"the day before Samoa's skipped day":       {Daily, 0, apia, "2011-12-29T12:00:00-10:00", "2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00"},
		"the day after Samoa's skipped day":        {Daily, 0, apia, "2011-12-31T12:00:00+14:00", "2011-12-31T00:00:00+14:00", "2012-01-01T00:00:00+14:00"},
		"a week from Samoa's skipped day":          {Weekly, 5, apia, "2011-12-31T00:00:00+14:00", "2011-12-31T00:00:00+14:00", "2012-01-06T00:00:00+14:00"},
		"a month from Samoa's skipped day":         {Monthly, 30, apia, "2012-01-01T00:00:00+14:00", "2011-12-31T00:00:00+14:00", "2012-01-30T00:00:00+14:00"},
		"a week from Monday to Sunday":             {Weekly, 1, "UTC", "2026-03-01T23:59:59Z", "2026-02-23T00:00:00Z", "2026-03-02T00:00:00Z"},
		"a week from Wednesday on a Wednesday":     {Weekly, 3, "UTC", "2026-03-04T00:00:00Z", "2026-03-04T00:00:00Z", "2026-03-11T00:00:00Z"},
		"a week from Sunday on a Saturday":         {Weekly, 7, "UTC", "2026-01-03T12:00:00Z", "2025-12-28T00:00:00Z", "2026-01-04T00:00:00Z"},
		"an anchor out of range is the first":      {Monthly, 32, "", "2026-01-31T00:00:00Z", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"},
		"the last day of a far leap year":          {Daily, 0, newYork, "2148-12-31T23:00:00-05:00", "2148-12-31T00:00:00-05:00", "2149-01-01T00:00:00-05:00"},
		"the far future":                           {Monthly, 31, berlin, "9999-07-01T00:00:00+02:00", "9999-06-30T00:00:00+02:00", "9999-07-31T00:00:00+02:00"},
		"the far past":                             {Weekly, 1, "UTC", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0001-01-08T00:00:00Z"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := NewCalendar(test.reset, test.anchor, location(test.zone)).At(must(time.Parse(time.RFC3339, test.at)))
			start, end := must(time.Parse(time.RFC3339, test.start)).UTC(), must(time.Parse(time.RFC3339, test.end)).UTC()
			endDay := (must(time.Parse(time.DateOnly, test.end[:10])).Unix() - epoch.Unix()) / 86400
			if want := (Period{start, end, int(endDay)}); got != want {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

var zones = []string{
	"UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "America/Havana", "Australia/Lord_Howe", "Africa/Casablanca",
	"Antarctica/Troll", "America/St_Johns", "America/Sao_Paulo", "Asia/Beirut", "Africa/Cairo", "Pacific/Kwajalein", "Pacific/Chatham", "America/Godthab",
}

func TestPeriodsFollowEachOtherWithoutAGap(t *testing.T) {
	// In hours. Two of the zones skipped a day once.
	shortest := map[Reset]float64{Monthly: 27 * 24, Weekly: 6.9 * 24, Daily: 22}
	longest := map[Reset]float64{Monthly: 32 * 24, Weekly: 7.1 * 24, Daily: 26}
	skip := map[string]float64{"Pacific/Apia": 24, "Pacific/Kwajalein": 24}
	rapid.Check(t, func(t *rapid.T) {
		c, zone := drawCalendar(t)
		at := drawTime(t, zone)
		p := c.At(at)
		if at.Before(p.Start) || !at.Before(p.End) {
			t.Fatalf("%v is not in %v", at, p)
		}
		if c.At(p.Start) != p || c.At(p.End.Add(-1)) != p {
			t.Fatalf("%v is not the period at its own start and end", p)
		}
		for range 15 {
			next := c.At(p.End)
			if next.Start != p.End || next.EndDay <= p.EndDay || c.At(next.Start.Add(-1)) != p {
				t.Fatalf("%v is followed by %v", p, next)
			}
			if hours := next.End.Sub(next.Start).Hours(); hours < shortest[c.reset]-skip[zone.String()] || hours > longest[c.reset] {
				t.Fatalf("%v takes %v hours", next, hours)
			}
			p = next
		}
	})
}

func TestAPeriodBeginsAtTheFirstInstantOfItsDay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, zone := drawCalendar(t)
		p := c.At(drawTime(t, zone))
		local := p.Start.In(zone)
		for before := time.Nanosecond; before < 50*time.Hour; before += time.Minute {
			if at := local.Add(-before); at.Format(time.DateOnly) >= local.Format(time.DateOnly) || c.Day(at) >= c.Day(local) {
				t.Fatalf("it was that day already at %v, before %v", at, local)
			}
		}
		year, month, day := local.Date()
		anchored := map[Reset]bool{
			Monthly: day == min(c.anchor, time.Date(year, month+1, 0, 0, 0, 0, 0, zone).Day()),
			Weekly:  int(local.Weekday()) == c.anchor%7,
			Daily:   true,
		}[c.reset]
		skipped := c.Day(local.Add(-1)) < c.Day(local)-1
		if !anchored && !skipped {
			t.Fatalf("%v begins at %v", c, local)
		}
	})
}

func TestADayNeverComesTwice(t *testing.T) {
	c := NewCalendar(Daily, 0, location("America/St_Johns"))
	at := time.Date(2009, 10, 30, 0, 0, 0, 0, time.UTC)
	for last := c.Day(at); at.Month() < time.December; at = at.Add(time.Minute) {
		if day := c.Day(at); day < last || day != c.At(at).EndDay-1 {
			t.Fatalf("%v is day %d, after %d", at, day, last)
		} else {
			last = day
		}
	}
}

func TestACalendarIsItsText(t *testing.T) {
	berlin := location("Europe/Berlin")
	tests := map[string]*Calendar{
		"Monthly/31/Europe/Berlin": NewCalendar(Monthly, 31, berlin),
		"Monthly/1/UTC":            NewCalendar(Monthly, 0, nil),
		"Weekly/1/UTC":             NewCalendar(Weekly, 8, time.UTC),
		"Weekly/7/Europe/Berlin":   NewCalendar(Weekly, 7, berlin),
		"Daily/1/UTC":              NewCalendar(Daily, 5, nil),
	}
	for text, c := range tests {
		if c.String() != text {
			t.Errorf("%v, want %s", c, text)
		}
		for otherText, other := range tests {
			if c.Equal(other) != (text == otherText) {
				t.Errorf("%v equal to %v: %v", c, other, c.Equal(other))
			}
		}
	}
	if !NewCalendar(Monthly, 1, nil).Equal(NewCalendar(9, -1, time.UTC)) || tests["Daily/1/UTC"].Equal(nil) {
		t.Error("what is out of range counts as the first month, and no calendar equals none")
	}
}

func TestAskingAgainAllocatesNothing(t *testing.T) {
	c := NewCalendar(Monthly, 31, location("Europe/Berlin"))
	if allocated := testing.AllocsPerRun(1000, func() { c.At(start) }); allocated != 0 {
		t.Errorf("%v allocations", allocated)
	}
}

func TestACalendarIsSharedAroundABoundary(t *testing.T) {
	c := NewCalendar(Daily, 0, location("America/Havana"))
	before := c.At(start)
	after := c.At(before.End)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 2000 {
				offset, want := time.Duration(rand.IntN(100)-50), after
				if offset < 0 {
					want = before
				}
				if got := c.At(before.End.Add(offset)); got != want {
					t.Errorf("%d ns from the boundary: %v", offset, got)
				}
			}
		})
	}
	group.Wait()
}

func drawCalendar(t *rapid.T) (*Calendar, *time.Location) {
	zone := location(rapid.SampledFrom(zones).Draw(t, "zone"))
	reset := rapid.SampledFrom([]Reset{Monthly, Weekly, Daily}).Draw(t, "reset")
	return NewCalendar(reset, rapid.IntRange(0, 32).Draw(t, "anchor"), zone), zone
}

// drawTime draws a time from 1990 to 2150, half of them within a day or two of a change of the zone's offset.
func drawTime(t *rapid.T, zone *time.Location) time.Time {
	from, to := time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2150, 1, 1, 0, 0, 0, 0, time.UTC)
	at := time.Unix(rapid.Int64Range(from.Unix(), to.Unix()).Draw(t, "seconds"), 0).In(zone)
	if _, until := at.ZoneBounds(); rapid.Bool().Draw(t, "near a change") && !until.IsZero() {
		at = until.Add(time.Duration(rapid.IntRange(-2*24*60, 2*24*60).Draw(t, "minutes")) * time.Minute)
	}
	return at
}

func location(name string) *time.Location { return must(time.LoadLocation(name)) }

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
