package analytics

import (
	"time"
	_ "time/tzdata" // also where the machine knows no time zones

	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

// span is the range of time that a question is about: from <= t < to.
type span struct {
	from, to time.Time
	zone     *time.Location
}

const (
	day = 24 * time.Hour
	// More than a year and a month is not kept by the hour, nor in the log.
	longest = 400 * day
	// What a key is asked about unless the question says otherwise.
	usualDays = 30
)

// calendar is the billing periods of the question's workspace; of one that is gone, calendar months in UTC.
func (q *question) calendar() *limit.Calendar {
	if c, ok := q.Verifier.Billing(q.workspace); ok && c != nil {
		return c
	}
	return months
}

var months = limit.NewCalendar(limit.Monthly, 1, time.UTC)

// readSpan reads the range: of dates, of times, of so many days until now, or by default what is usual.
func (q *question) readSpan() (s span, err error) {
	s.zone = q.calendar().Zone()
	if name, ok := q.values["timeZone"]; ok {
		if s.zone, err = time.LoadLocation(name); err != nil || name == "Local" {
			return s, malformed("timeZone must be the name of a time zone, such as Europe/Berlin or UTC")
		}
	}
	ways := 0
	for _, way := range [][]string{{"days"}, {"from", "to"}, {"start", "end"}} {
		given := 0
		for _, name := range way {
			if _, ok := q.values[name]; ok {
				given++
			}
		}
		if given > 0 && given < len(way) {
			return s, malformed("%s and %s go together: give both, or neither for what is usual", way[0], way[1])
		}
		ways += min(given, 1)
	}
	if ways > 1 {
		return s, malformed("days, from and to, and start and end are three ways to say the same: use one")
	}
	if err := q.readEnds(&s); err != nil {
		return s, err
	}
	switch {
	case !s.from.Before(s.to):
		return s, malformed("the range is empty: it must end after it begins")
	case s.to.Sub(s.from) > longest:
		return s, malformed("the range is longer than %d days: ask about a part of it", int(longest/day))
	case q.route.dates == sumDates:
		s = q.kept(s)
		if !s.from.Before(s.to) {
			return s, malformed("the range is less than a day, and before %s there are but days of UTC: ask about one or more of them", q.hoursSince().Format(time.RFC3339))
		}
		return s, q.whole(s.from, s.to)
	}
	return s, nil
}

// hoursSince is since when hours are kept.
func (q *question) hoursSince() time.Time { return usagestore.HoursSince(q.now) }

// kept is a range as it can be summed up: where no hours are kept any more, it begins and ends with days of UTC.
func (q *question) kept(s span) span {
	return span{usagestore.Cut(s.from, q.hoursSince()), usagestore.Cut(s.to, q.hoursSince()), s.zone}
}

func (q *question) readEnds(s *span) (err error) {
	switch {
	case q.values["from"] != "":
		return q.readDates(s)
	case q.values["start"] != "":
		return q.readTimes(s)
	case q.values["days"] != "" || q.route.ofKey():
		days, err := q.number("days", usualDays, 1, int(longest/day))
		s.to = q.now.UTC().Truncate(time.Hour).Add(time.Hour)
		s.from = s.to.Add(-time.Duration(days) * day)
		return err
	}
	period := q.calendar().At(q.now)
	s.from, s.to = period.Start, period.End
	return nil
}

// readDates reads local days; the last is a part of the range.
func (q *question) readDates(s *span) error {
	days := limit.NewCalendar(limit.Daily, 1, s.zone)
	var at [2]limit.Period
	for i, name := range []string{"from", "to"} {
		date, err := time.Parse(time.DateOnly, q.values[name])
		if err != nil || date.Year() < 1970 || date.Year() > 9000 {
			return malformed("%s must be a date such as 2026-01-31", name)
		}
		year, month, day := date.Date()
		at[i] = days.At(time.Date(year, month, day, 12, 0, 0, 0, s.zone))
	}
	if at[1].Start.Before(at[0].Start) {
		return malformed("from is after to: swap them")
	}
	s.from, s.to = at[0].Start, at[1].End
	return nil
}

func (q *question) readTimes(s *span) error {
	for name, into := range map[string]*time.Time{"start": &s.from, "end": &s.to} {
		at, err := time.Parse(time.RFC3339, q.values[name])
		if err != nil || at.Year() < 1970 || at.Year() > 9000 {
			return malformed("%s must be a time such as 2026-01-31T12:00:00Z", name)
		}
		*into = at.UTC()
	}
	if s.to.Before(s.from) {
		return malformed("start is after end: swap them")
	}
	return nil
}

// whole refuses moments that are in the middle of what is counted as one: usage is kept by the hour of UTC, or by the quarter
// where the workspace's billing time zone asks for that at the time, which may be for a part of the year.
func (q *question) whole(moments ...time.Time) error {
	calendar := q.calendar()
	for _, at := range moments {
		if at.Unix()%usage.Hour == 0 && at.Nanosecond() == 0 {
			continue
		}
		period := calendar.At(at)
		quarters := period.Start.Unix()%usage.Hour != 0 || period.End.Unix()%usage.Hour != 0
		if quarters && at.Unix()%usage.Quarter == 0 && at.Nanosecond() == 0 {
			continue
		}
		return malformed("usage of this workspace is counted by the hour of UTC, and %s is none: use start and end at whole hours, or a time zone that is whole hours off (the workspace's billing.timeZone may be any)",
			at.Format(time.RFC3339))
	}
	return nil
}

// told is how the range is told in an answer.
type told struct {
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	TimeZone string    `json:"timeZone"`
}

func (s *span) told() told { return told{s.from.In(s.zone), s.to.In(s.zone), s.zone.String()} }

// cut is how a range is cut unless the question says how.
func (s *span) cut(hoursSince time.Time) usagestore.Bucket {
	switch length := s.to.Sub(s.from); {
	case length <= 7*day && !s.from.Before(hoursSince):
		return usagestore.ByHour
	case length <= 92*day:
		return usagestore.ByDay
	}
	return usagestore.ByWeek
}
