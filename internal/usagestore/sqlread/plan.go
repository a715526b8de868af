package sqlread

import (
	"sort"
	"time"

	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

// interval is a part of a range that is read from one of the roll-ups.
type interval struct {
	days     bool  // of the days, or of the hours
	from, to int64 // Unix seconds
}

// plan reads whole days of UTC from the days and the rest from the hours, in each of a query's buckets.
func plan(q *usagestore.Query, starts []time.Time) (intervals []interval) {
	add := func(days bool, from, to int64) {
		if from >= to {
			return
		}
		if last := len(intervals) - 1; last >= 0 && intervals[last].days == days && intervals[last].to == from {
			intervals[last].to = to
			return
		}
		intervals = append(intervals, interval{days, from, to})
	}
	for i, start := range starts {
		from, to := max(start.Unix(), q.From.Unix()), q.To.Unix()
		if i+1 < len(starts) {
			to = min(to, starts[i+1].Unix())
		}
		first, last := usage.DayStart(from+usage.Day-1), usage.DayStart(to)
		if first >= last {
			add(false, from, to)
			continue
		}
		add(false, from, first)
		add(true, first, last)
		add(false, last, to)
	}
	return intervals
}

// bucketOf is which of the buckets a moment is in.
func bucketOf(starts []time.Time, at int64) int {
	return sort.Search(len(starts), func(i int) bool { return starts[i].Unix() > at }) - 1
}
