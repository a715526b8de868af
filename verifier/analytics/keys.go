package analytics

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

// summary is what a key used.
func (q *question) summary(a *answer) error {
	total, err := q.total(q.filter())
	if err != nil {
		return err
	}
	return a.json(http.StatusOK, struct {
		KeyID string `json:"keyId"`
		told
		totals
	}{q.key, q.span.told(), totalsOf(&total)})
}

// byTier is what it used in each tier.
func (q *question) byTier(a *answer) error {
	tiers, err := q.by(q.filter(), usagestore.ByTier)
	if err != nil {
		return err
	}
	return a.json(http.StatusOK, struct {
		KeyID string `json:"keyId"`
		told
		Tiers []named `json:"tiers"`
	}{q.key, q.span.told(), listed(tiers)})
}

// failure is an error, and how often there was one.
type failure struct {
	Status string `json:"status"`
	Error  string `json:"error"`
	Count  int64  `json:"count"`
}

// errors are what it was denied for, and what failed.
func (q *question) errors(a *answer) error {
	f := q.filter()
	f.Equal[usagestore.ByStatus] = []string{usage.Denied.String(), usage.Failed.String()}
	rows, err := q.sum(f, "", usagestore.ByStatus, usagestore.ByError)
	if err != nil {
		return err
	}
	failures, count := make([]failure, len(rows)), int64(0)
	for i := range rows {
		failures[i] = failure{rows[i].Values[0], rows[i].Values[1], rows[i].Denied + rows[i].Failed}
		count += failures[i].Count
	}
	slices.SortFunc(failures, func(a, b failure) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Status, b.Status), cmp.Compare(a.Error, b.Error))
	})
	lines, err := q.logPage(f)
	if err != nil {
		return err
	}
	return a.json(http.StatusOK, struct {
		KeyID string `json:"keyId"`
		told
		TotalErrors int64     `json:"totalErrors"`
		Errors      []failure `json:"errors"`
		page
	}{q.key, q.span.told(), count, first(failures, maxListed), lines})
}

// requests is its part of the log.
func (q *question) requests(a *answer) error {
	f, err := q.filtered("status", "tier", "resource", "error")
	if err != nil {
		return err
	}
	f.DomainContains = q.values["domain"]
	lines, err := q.logPage(f)
	if err != nil {
		return err
	}
	return a.json(http.StatusOK, struct {
		KeyID string `json:"keyId"`
		told
		page
	}{q.key, q.span.told(), lines})
}

// timeseries is what it used over time.
func (q *question) timeseries(a *answer) error {
	every, err := q.granularity()
	if err != nil {
		return err
	}
	f, err := q.filtered("status", "tier", "resource")
	if err != nil {
		return err
	}
	format, err := q.format()
	if err != nil {
		return err
	}
	points, err := q.series(f, every)
	if err != nil {
		return err
	}
	if format != formatJSON {
		return a.table(format, "timeseries", pointColumns, func(row func(...any) error) error {
			for i := range points {
				p := &points[i]
				err := row(p.Start.Format(time.RFC3339), p.TotalRequests, p.Requests, p.Denied, p.Succeeded, p.Failed, p.SpendMicrocents, p.AverageLatencyMs, p.Bytes)
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	return a.json(http.StatusOK, struct {
		KeyID string `json:"keyId"`
		told
		Granularity usagestore.Bucket `json:"granularity"`
		Points      []point           `json:"points"`
	}{q.key, q.span.told(), every, points})
}

var pointColumns = []column{
	text("start"), number("totalRequests"), number("requests"), number("denied"), number("succeeded"), number("failed"),
	number("spendMicrocents"), decimal("averageLatencyMs"), number("bytes"),
}

// line is one of the log.
type line struct {
	At              time.Time `json:"at"`
	RequestID       string    `json:"requestId"`
	KeyID           string    `json:"keyId"`
	Status          string    `json:"status"`
	Error           string    `json:"error,omitempty"`
	HTTPStatus      int       `json:"httpStatus,omitempty"`
	Tier            string    `json:"tier,omitempty"`
	Domain          string    `json:"domain,omitempty"`
	Resource        string    `json:"resource,omitempty"`
	SpendMicrocents int64     `json:"spendMicrocents"`
	LatencyMs       float64   `json:"latencyMs,omitempty"`
	Bytes           int64     `json:"bytes,omitempty"`
}

func lineOf(l *usagestore.Line) line {
	return line{
		l.At, l.RequestID, l.Key, l.Status.String(), l.Error, l.HTTPStatus, l.Tier, l.Domain, l.Resource,
		l.SpendMicrocents, float64(l.Latency.Microseconds()) / 1000, l.Bytes,
	}
}

// page is a page of the log.
type page struct {
	// Logged says whether the workspace keeps a log now.
	Logged     bool   `json:"logged"`
	Page       int    `json:"page"`
	PageSize   int    `json:"pageSize"`
	Total      int64  `json:"total"`
	TotalPages int64  `json:"totalPages"`
	Requests   []line `json:"requests"`
}

const (
	usualPage   = 50
	largestPage = 500
	lastPage    = 100_000
)

func (q *question) logPage(f usagestore.Filter) (p page, err error) {
	if p.Page, err = q.number("page", 1, 1, lastPage); err != nil {
		return p, err
	}
	if p.PageSize, err = q.number("page_size", usualPage, 1, largestPage); err != nil {
		return p, err
	}
	found, err := q.Usage.Log(q, &usagestore.LogQuery{From: q.span.from, To: q.span.to, Filter: f, Page: p.Page, PageSize: p.PageSize})
	if err != nil {
		return p, err
	}
	kept, _ := q.Verifier.KeepsLines(q.workspace)
	p.Logged, p.Total = kept > 0, found.Total
	p.TotalPages = (found.Total + int64(p.PageSize) - 1) / int64(p.PageSize)
	p.Requests = make([]line, len(found.Lines))
	for i := range found.Lines {
		p.Requests[i] = lineOf(&found.Lines[i])
	}
	return p, nil
}
