package analytics

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

// totals are sums as they are answered.
type totals struct {
	TotalRequests    int64   `json:"totalRequests"` // allowed and denied
	Requests         int64   `json:"requests"`
	Denied           int64   `json:"denied"`
	Succeeded        int64   `json:"succeeded"`
	Failed           int64   `json:"failed"`
	SpendMicrocents  int64   `json:"spendMicrocents"`
	AverageLatencyMs float64 `json:"averageLatencyMs"`
	Bytes            int64   `json:"bytes"`
}

func totalsOf(t *usage.Totals) totals {
	out := totals{
		TotalRequests: t.Requests + t.Denied, Requests: t.Requests, Denied: t.Denied, Succeeded: t.Succeeded, Failed: t.Failed,
		SpendMicrocents: t.SpendMicrocents, Bytes: t.Bytes,
	}
	if t.Timed > 0 {
		out.AverageLatencyMs = math.Round(float64(t.LatencyMicros)/float64(t.Timed)) / 1000
	}
	return out
}

// point is one of a time series.
type point struct {
	Start time.Time `json:"start"`
	totals
}

// series are the points of a range, those of which nothing is known among them.
func (q *question) series(f usagestore.Filter, every usagestore.Bucket) ([]point, error) {
	starts, err := q.starts(every)
	if err != nil {
		return nil, err
	}
	rows, err := q.sum(f, every)
	if err != nil {
		return nil, err
	}
	sums := map[int64]*usage.Totals{}
	for i := range rows {
		at := rows[i].Start.Unix()
		if sums[at] == nil {
			sums[at] = &usage.Totals{}
		}
		sums[at].Merge(&rows[i].Totals)
	}
	points := make([]point, len(starts))
	for i, start := range starts {
		points[i].Start = start
		if sum := sums[start.Unix()]; sum != nil {
			points[i].totals = totalsOf(sum)
		}
	}
	return points, nil
}

// maxPoints are as many as a chart can show.
const maxPoints = 1500

// starts are when the buckets of the range begin.
func (q *question) starts(every usagestore.Bucket) ([]time.Time, error) {
	if since := q.hoursSince(); (every == usagestore.ByMinute || every == usagestore.ByHour) && q.span.from.Before(since) {
		return nil, malformed("there are no hours and minutes of what was before %s: ask for days, or about what was since", since.Format(time.RFC3339))
	}
	if every == usagestore.ByMinute && q.span.to.Sub(q.span.from) > maxPoints*time.Minute || every == usagestore.ByHour && q.span.to.Sub(q.span.from) > maxPoints*time.Hour {
		return nil, malformed("there would be more than %d points: choose a coarser granularity, or a shorter range", maxPoints)
	}
	if every == usagestore.ByMinute && !q.Verifier.LogsAll(q.workspace) {
		return nil, malformed("minutes are told by the request log, and this workspace keeps none, or not of all requests: choose the granularity hour")
	}
	asked := q.query(usagestore.Filter{}, every)
	starts := usagestore.Starts(&asked)
	if every == usagestore.ByMinute {
		return starts, nil
	}
	return starts, q.whole(starts...)
}

// granularity is how the range is to be cut.
func (q *question) granularity() (usagestore.Bucket, error) {
	text, err := q.choice("granularity", string(q.span.cut(q.hoursSince())), "minute", "hour", "day", "week", "month")
	return usagestore.Bucket(text), err
}

// named is a sum of one value of a dimension.
type named struct {
	Name string `json:"name"` // empty: of none
	totals
}

// by are the sums of each value of a dimension, those that cost most first.
func (q *question) by(f usagestore.Filter, dimension usagestore.Dimension) ([]usagestore.Row, error) {
	rows, err := q.sum(f, "", dimension)
	slices.SortFunc(rows, func(a, b usagestore.Row) int {
		return cmp.Or(cmp.Compare(b.SpendMicrocents, a.SpendMicrocents), cmp.Compare(b.Requests+b.Denied, a.Requests+a.Denied), cmp.Compare(a.Values[0], b.Values[0]))
	})
	return rows, err
}

const (
	// maxListed are as many as a list has that cannot be asked for in part.
	maxListed = 1000
	// rest is the name of all that is beyond.
	rest = "(rest)"
)

// listed are sums with their names, in their order, and at the end one of all that is beyond maxListed.
func listed(rows []usagestore.Row) []named {
	list := make([]named, 0, min(len(rows), maxListed+1))
	var beyond usage.Totals
	for i := range rows {
		if i < maxListed {
			list = append(list, named{rows[i].Values[0], totalsOf(&rows[i].Totals)})
		} else {
			beyond.Merge(&rows[i].Totals)
		}
	}
	if len(rows) > maxListed {
		list = append(list, named{rest, totalsOf(&beyond)})
	}
	return list
}

// first are no more than so many.
func first[T any](list []T, most int) []T { return list[:min(len(list), most)] }
