package usage

import "time"

// Line is an event as the request log has it.
type Line struct {
	// Series is shared by the lines of it that were counted together, and must not be changed.
	Series    *Series
	RequestID string
	At        time.Time
	// Keep is for how long it stays in the log.
	Keep            time.Duration
	SpendMicrocents int64
	Latency         time.Duration // zero: not known
	Bytes           int64
	HTTPStatus      int // zero: not known
}

// lineOf is the line of an event that was counted in c.
func lineOf(e *Event, c *Count) Line {
	return Line{&c.Series, e.RequestID, e.At, e.KeepLine, e.SpendMicrocents, e.Latency, e.Bytes, e.HTTPStatus}
}

// ExpiryDay is the day of UTC after which the line goes, in days since 1970.
func (l *Line) ExpiryDay() int64 { return DayStart(l.At.Add(l.Keep).Unix()) / Day }
