package usagestore

import (
	"time"

	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// For so long sums are kept: hours for a year and a month before the current one, so that any month can be compared with
// the same one a year before, and days of UTC for years. The totals of a key are kept for good.
const (
	KeptMonths = 13
	KeptYears  = 5
)

// ReportsKept is for how long a second report of a request is known for one.
const ReportsKept = 24 * time.Hour

// HoursSince is since when hours are kept, now: a midnight of UTC. Before it there are days alone.
func HoursSince(now time.Time) time.Time {
	return usagefeed.PeriodStart(now).AddDate(0, -KeptMonths, 0)
}

// DaysSince is since when days are kept, now.
func DaysSince(now time.Time) time.Time {
	return usagefeed.PeriodStart(now).AddDate(-KeptYears, 0, 0)
}
