package limit

import (
	"fmt"
	"sync/atomic"
	"time"
	_ "time/tzdata" // a limit holds also where the machine knows no time zones
)

// Reset is how often a Calendar begins anew.
type Reset uint8

const (
	Monthly Reset = iota
	Weekly
	Daily
)

func (r Reset) String() string {
	switch r {
	case Weekly:
		return "Weekly"
	case Daily:
		return "Daily"
	}
	return "Monthly"
}

// Calendar cuts time into periods that begin at the first instant of a local day. NewCalendar
// makes it. It never changes, but for a cache, and any number of goroutines may use it.
type Calendar struct {
	reset  Reset
	anchor int
	zone   *time.Location
	text   string
	cached atomic.Pointer[Period] // the one that was asked for last
}

// Period is half open: Start <= t < End. Both are in UTC, so that equal periods are == too.
type Period struct {
	Start, End time.Time
	// EndDay is the number of days from 2020-01-01 to the local date of End. No two periods of a
	// calendar share one, also where summer time puts two midnights on one day of UTC.
	EndDay int
}

// NewCalendar makes the calendar whose periods begin on the day of the anchor. That is the day of
// the month for Monthly, 1 to 31, or the month's last day where it is shorter; the day of the week
// for Weekly, 1 (Monday) to 7 (Sunday) as in ISO 8601; and nothing for Daily. Any other anchor
// counts as 1, any other reset as Monthly. A nil zone is UTC.
func NewCalendar(reset Reset, anchor int, zone *time.Location) *Calendar {
	if reset > Daily {
		reset = Monthly
	}
	if last := [...]int{Monthly: 31, Weekly: 7, Daily: 1}[reset]; anchor < 1 || anchor > last {
		anchor = 1
	}
	if zone == nil {
		zone = time.UTC
	}
	return &Calendar{reset: reset, anchor: anchor, zone: zone, text: fmt.Sprintf("%v/%d/%v", reset, anchor, zone)}
}

// At is the period that holds at a time. It allocates nothing where that is the period of the
// call before.
func (c *Calendar) At(t time.Time) Period {
	if p := c.cached.Load(); p != nil && !t.Before(p.Start) && t.Before(p.End) {
		return *p
	}
	p := c.find(t)
	c.cached.Store(&p)
	return p
}

// Day is the number of days from 2020-01-01 to the local date of t, negative before. It never goes
// back: where the clock does, over midnight, as in America/St_Johns until 2011, the last hour of a
// day comes twice, and the second time it belongs to the next day, which had begun already.
func (c *Calendar) Day(t time.Time) int {
	return int((c.date(t).Unix() - epoch.Unix()) / (24 * 60 * 60))
}

// Zone is whose local days begin its periods.
func (c *Calendar) Zone() *time.Location { return c.zone }

// Reset is how often it begins anew.
func (c *Calendar) Reset() Reset { return c.reset }

// Equal tells whether both have the same periods: the same reset, anchor and name of a zone.
func (c *Calendar) Equal(other *Calendar) bool {
	if c == nil || other == nil {
		return c == other
	}
	return c.text == other.text
}

// String is the same for equal calendars, and for no others: "Monthly/31/Europe/Berlin". A Daily
// one has the anchor 1.
func (c *Calendar) String() string { return c.text }

func (c *Calendar) find(t time.Time) Period {
	first := c.firstDate(c.date(t))
	end := c.dayStart(c.nextDate(first))
	return Period{c.dayStart(first), end, c.Day(end)}
}

// date is the last local date that has begun at a time. Dates are, here and below, the midnights
// in UTC that begin them: in UTC a day is always 24 hours.
func (c *Calendar) date(t time.Time) time.Time {
	year, month, day := t.In(c.zone).Date()
	today := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	if tomorrow := today.AddDate(0, 0, 1); !t.Before(c.dayStart(tomorrow)) {
		return tomorrow // in the hour that comes twice
	}
	return today
}

// firstDate is when the period begins that a date belongs to.
func (c *Calendar) firstDate(date time.Time) time.Time {
	switch c.reset {
	case Daily:
		return date
	case Weekly:
		// A Sunday is 0 to Go and 7 to ISO 8601, which is the same modulo 7.
		return date.AddDate(0, 0, -((int(date.Weekday()) - c.anchor + 7) % 7))
	}
	if first := c.inMonth(date, 0); !first.After(date) {
		return first
	}
	return c.inMonth(date, -1)
}

// nextDate is when the period begins that follows the one which begins on a date.
func (c *Calendar) nextDate(first time.Time) time.Time {
	switch c.reset {
	case Daily:
		return first.AddDate(0, 0, 1)
	case Weekly:
		return first.AddDate(0, 0, 7)
	}
	return c.inMonth(first, 1)
}

// inMonth is the day of the anchor in the month that is some months after that of a date.
func (c *Calendar) inMonth(date time.Time, months int) time.Time {
	last := time.Date(date.Year(), date.Month()+time.Month(months)+1, 0, 0, 0, 0, 0, time.UTC)
	return last.AddDate(0, 0, min(c.anchor, last.Day())-last.Day())
}

// dayStart is the first instant whose local date is a date, or later if the zone skips that day.
// time.Date does not promise it where midnight comes twice or never. So this looks through the
// spans between two changes of the zone's offset from UTC: in which of them is midnight, or past?
func (c *Calendar) dayStart(date time.Time) time.Time {
	// Nowhere does a day begin two days before it does in UTC.
	from := date.AddDate(0, 0, -2)
	for {
		local := from.In(c.zone)
		_, offset := local.Zone()
		midnight := date.Add(-time.Duration(offset) * time.Second)
		if midnight.Before(from) {
			midnight = from // the change jumped over it
		}
		_, until := local.ZoneBounds()
		if !until.IsZero() && !until.After(from) {
			// After the zone's last listed change Go takes each year for 365 days, so that on
			// the 31st of December of a leap year the span seems to be over (time.tzset).
			until = from.Truncate(24*time.Hour).AddDate(0, 0, 1)
		}
		if until.IsZero() || midnight.Before(until) {
			return midnight
		}
		from = until.UTC()
	}
}
