package usagestore

import (
	"time"

	"github.com/claviger-dev/claviger/internal/limit"
)

// Cut is where a sum can be cut that is to be cut at a moment: there, or, before the time since which hours are kept, at the
// nearest midnight of UTC, the later of two that are as near. What meets at a moment also meets there.
func Cut(at, hoursSince time.Time) time.Time {
	if !at.Before(hoursSince) {
		return at
	}
	const day = 24 * time.Hour
	return at.UTC().Add(day / 2).Truncate(day)
}

// Starts are when the buckets of a query begin, in order and in its zone: the first at From or before, the last before To.
// Where the range is not cut it is one, and begins at From.
func Starts(q *Query) []time.Time {
	if !q.From.Before(q.To) {
		return nil
	}
	zone := q.Zone
	if zone == nil {
		zone = time.UTC
	}
	var next func(time.Time) (start, end time.Time)
	switch q.Every {
	case ByMinute:
		next = evenly(time.Minute, zone)
	case ByHour:
		next = evenly(time.Hour, zone)
	case ByDay:
		next = periods(limit.Daily, zone)
	case ByWeek:
		next = periods(limit.Weekly, zone)
	case ByMonth:
		next = periods(limit.Monthly, zone)
	default:
		return []time.Time{q.From}
	}
	var starts []time.Time
	for at := q.From; at.Before(q.To); {
		var start time.Time
		start, at = next(at)
		starts = append(starts, start.In(zone))
	}
	if q.Every == ByMinute || !q.From.Before(q.HoursSince) {
		return starts
	}
	return cut(q, starts, zone)
}

// cut moves the starts to where sums can be cut, and leaves out the buckets in which then is nothing of the range.
func cut(q *Query, starts []time.Time, zone *time.Location) (kept []time.Time) {
	for i := range starts {
		start, end := Cut(starts[i], q.HoursSince), q.To
		if i+1 < len(starts) {
			end = Cut(starts[i+1], q.HoursSince)
		}
		if start.Before(end) && end.After(q.From) {
			kept = append(kept, start.In(zone))
		}
	}
	return kept
}

// evenly cuts into pieces of which a local hour is a whole number.
func evenly(length time.Duration, zone *time.Location) func(time.Time) (start, end time.Time) {
	return func(at time.Time) (start, end time.Time) {
		_, offset := at.In(zone).Zone()
		local := at.Add(time.Duration(offset) * time.Second).UTC()
		start = at.Add(local.Truncate(length).Sub(local))
		return start, start.Add(length)
	}
}

// periods are days, weeks that begin on Monday, or months: with 23 or 25 hours to a day where the clocks change.
func periods(reset limit.Reset, zone *time.Location) func(time.Time) (start, end time.Time) {
	calendar := limit.NewCalendar(reset, 1, zone)
	return func(at time.Time) (start, end time.Time) {
		p := calendar.At(at)
		return p.Start, p.End
	}
}
