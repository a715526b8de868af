package analytics

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/claviger-dev/claviger/internal/usagestore"
)

// metrics are what a report may have for columns.
var metrics = []struct {
	name  string
	value func(*totals) float64
}{
	{"totalRequests", func(t *totals) float64 { return float64(t.TotalRequests) }},
	{"requests", func(t *totals) float64 { return float64(t.Requests) }},
	{"denied", func(t *totals) float64 { return float64(t.Denied) }},
	{"succeeded", func(t *totals) float64 { return float64(t.Succeeded) }},
	{"failed", func(t *totals) float64 { return float64(t.Failed) }},
	{"spendMicrocents", func(t *totals) float64 { return float64(t.SpendMicrocents) }},
	{"averageLatencyMs", func(t *totals) float64 { return t.AverageLatencyMs }},
	{"bytes", func(t *totals) float64 { return float64(t.Bytes) }},
}

func metricNames() []string {
	names := make([]string, len(metrics))
	for i := range metrics {
		names[i] = metrics[i].name
	}
	return names
}

// A report has no more rows than this; what there are more of is told.
const maxRows = 10_000

// reportQuestion is a question about metrics by dimensions.
type reportQuestion struct {
	metrics    []int
	every      usagestore.Bucket // empty: time is no dimension
	dimensions []usagestore.Dimension
	orderBy    string
	descending bool
	limit      int
}

type reportRow struct {
	start  time.Time
	values []string
	totals
}

// report is metrics by dimensions over a range.
func (q *question) report(a *answer) error {
	asked, err := q.readReport()
	if err != nil {
		return err
	}
	f, err := q.filtered(filters...)
	if err != nil {
		return err
	}
	format, err := q.format()
	if err != nil {
		return err
	}
	if asked.every != "" {
		if _, err := q.starts(asked.every); err != nil {
			return err
		}
	}
	sums, err := q.sum(f, asked.every, asked.dimensions...)
	if err != nil {
		return err
	}
	rows := make([]reportRow, len(sums))
	for i := range sums {
		rows[i] = reportRow{sums[i].Start, sums[i].Values, totalsOf(&sums[i].Totals)}
	}
	asked.sort(rows)
	total := len(rows)
	rows = first(rows, asked.limit)
	if format != formatJSON {
		return a.table(format, "report", asked.columns(), func(row func(...any) error) error {
			for i := range rows {
				if err := row(asked.row(&rows[i])...); err != nil {
					return err
				}
			}
			return nil
		})
	}
	objects := make([]map[string]any, len(rows))
	for i := range rows {
		objects[i] = map[string]any{}
		values := asked.row(&rows[i])
		for j, column := range asked.columns() {
			objects[i][column.name] = values[j]
		}
	}
	return a.json(http.StatusOK, struct {
		Workspace string `json:"workspace"`
		told
		TotalRows int              `json:"totalRows"`
		Rows      []map[string]any `json:"rows"`
	}{q.workspace, q.span.told(), total, objects})
}

func (q *question) readReport() (r reportQuestion, err error) {
	names := metricNames()
	if text, ok := q.values["metrics"]; ok {
		names = strings.Split(text, ",")
	}
	for _, name := range names {
		i := slices.Index(metricNames(), name)
		if i < 0 || slices.Contains(r.metrics, i) {
			return r, malformed("metrics must be some of %s, each once", strings.Join(metricNames(), ", "))
		}
		r.metrics = append(r.metrics, i)
	}
	if text, ok := q.values["dimensions"]; ok {
		if err := r.readDimensions(strings.Split(text, ",")); err != nil {
			return r, err
		}
	}
	columns := make([]string, 0, len(names))
	for _, c := range r.columns() {
		columns = append(columns, c.name)
	}
	if r.orderBy, err = q.choice("orderBy", columns[0], columns...); err != nil {
		return r, err
	}
	order, err := q.choice("order", "ascending", "ascending", "descending")
	if err != nil {
		return r, err
	}
	r.descending = order == "descending"
	r.limit, err = q.number("limit", 1000, 1, maxRows)
	return r, err
}

func (r *reportQuestion) readDimensions(names []string) error {
	for _, name := range names {
		dimension := usagestore.Dimension(name)
		switch {
		case slices.Contains([]string{"hour", "day", "week", "month"}, name) && r.every == "":
			r.every = usagestore.Bucket(name)
		case slices.Contains(usagestore.Dimensions, dimension) && dimension != usagestore.ByWorkspace && !slices.Contains(r.dimensions, dimension):
			r.dimensions = append(r.dimensions, dimension)
		default:
			return malformed("dimensions must be some of %s, each once, and one of hour, day, week and month", strings.Join(filters, ", "))
		}
	}
	return nil
}

// columns are time, if it is a dimension, the others, and the metrics.
func (r *reportQuestion) columns() (columns []column) {
	if r.every != "" {
		columns = append(columns, text(string(r.every)))
	}
	for _, d := range r.dimensions {
		columns = append(columns, text(string(d)))
	}
	for _, i := range r.metrics {
		if name := metrics[i].name; name == "averageLatencyMs" {
			columns = append(columns, decimal(name))
		} else {
			columns = append(columns, number(name))
		}
	}
	return columns
}

func (r *reportQuestion) row(row *reportRow) (values []any) {
	if r.every != "" {
		values = append(values, row.start.Format(time.RFC3339))
	}
	for _, value := range row.values {
		values = append(values, value)
	}
	for _, i := range r.metrics {
		value := metrics[i].value(&row.totals)
		if metrics[i].name == "averageLatencyMs" {
			values = append(values, value)
		} else {
			values = append(values, int64(value))
		}
	}
	return values
}

// sort puts rows in the order that is asked for, and those that are alike in it in one that does not change.
func (r *reportQuestion) sort(rows []reportRow) {
	place := slices.IndexFunc(r.columns(), func(c column) bool { return c.name == r.orderBy })
	slices.SortFunc(rows, func(a, b reportRow) int {
		order := compare(r.row(&a)[place], r.row(&b)[place])
		if r.descending {
			order = -order
		}
		return cmp.Or(order, a.start.Compare(b.start), slices.Compare(a.values, b.values))
	})
}

func compare(a, b any) int {
	switch a := a.(type) {
	case string:
		return strings.Compare(a, b.(string))
	case int64:
		return cmp.Compare(a, b.(int64))
	}
	return cmp.Compare(a.(float64), b.(float64))
}
