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
	if every == usagestore.ByMinute && q.span.to.Sub(q.span.from) > maxPoints*time.Minute || every == usagestore.ByHour && q.span.to.Sub(q.span.from) > maxPoints*time.Hour {
		return nil, malformed("there would be more than %d points: choose a coarser granularity, or a shorter range", maxPoints)
	}
	if every == usagestore.ByMinute && !q.Verifier.LogsAll(q.workspace) {
		return nil, malformed("minutes are told by the request log, and this workspace keeps none, or not of all requests: choose the granularity hour")
	}
	starts := usagestore.Starts(&usagestore.Query{From: q.span.from, To: q.span.to, Every: every, Zone: q.span.zone})
	if every == usagestore.ByMinute {
		return starts, nil
	}
	return starts, q.whole(starts...)
}

// granularity is how the range is to be cut.
func (q *question) granularity() (usagestore.Bucket, error) {
	text, err := q.choice("granularity", string(q.span.cut()), "minute", "hour", "day", "week", "month")
	return usagestore.Bucket(text), err
}

// named is a sum of one value of a dimension.
type named struct {
	Name string `json:"name"` // empty: of none
	totals
}

// by are the sums of each value of a dimension, the busiest first.
func (q *question) by(f usagestore.Filter, dimension usagestore.Dimension) ([]named, error) {
	rows, err := q.sum(f, "", dimension)
	if err != nil {
		return nil, err
	}
	list := make([]named, len(rows))
	for i := range rows {
		list[i] = named{rows[i].Values[0], totalsOf(&rows[i].Totals)}
	}
	slices.SortFunc(list, func(a, b named) int {
		return cmp.Or(cmp.Compare(b.SpendMicrocents, a.SpendMicrocents), cmp.Compare(b.TotalRequests, a.TotalRequests), cmp.Compare(a.Name, b.Name))
	})
	return list, nil
}

// first are no more than so many.
func first[T any](list []T, most int) []T { return list[:min(len(list), most)] }
