package analytics

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"

	"github.com/claviger-dev/claviger/internal/usagestore"
)

// The formats of what has rows and columns.
const (
	formatJSON    = "json"
	formatCSV     = "csv"
	formatJSONL   = "jsonl"
	formatParquet = "parquet"
)

var contentTypes = map[string]string{
	formatCSV: "text/csv; charset=utf-8", formatJSONL: "application/jsonl", formatParquet: "application/vnd.apache.parquet",
}

func (q *question) format() (string, error) {
	return q.choice("format", formatJSON, formatJSON, formatCSV, formatJSONL, formatParquet)
}

// column is a name, and what is below it.
type column struct {
	name string
	node func() parquet.Node
}

func text(name string) column   { return column{name, parquet.String} }
func number(name string) column { return column{name, func() parquet.Node { return parquet.Int(64) }} }
func decimal(name string) column {
	return column{name, func() parquet.Node { return parquet.Leaf(parquet.DoubleType) }}
}

// tableWriter takes rows, of as many values as there are columns.
type tableWriter interface {
	row(values ...any) error
	close() error
}

// table answers with rows as they come, so that there may be any number of them.
func (a *answer) table(format, name string, columns []column, rows func(row func(...any) error) error) error {
	a.Header().Set("Content-Type", contentTypes[format])
	a.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name + "." + format}))
	a.Header().Set("X-Content-Type-Options", "nosniff")
	var w tableWriter
	switch format {
	case formatCSV:
		w = newCSV(a, columns)
	case formatJSONL:
		w = &jsonLines{columns, json.NewEncoder(a)}
	default:
		w = newParquet(a, columns)
	}
	if err := rows(w.row); err != nil {
		return err
	}
	return w.close()
}

type csvTable struct{ *csv.Writer }

func newCSV(a *answer, columns []column) csvTable {
	w := csvTable{csv.NewWriter(a)}
	names := make([]string, len(columns))
	for i := range columns {
		names[i] = columns[i].name
	}
	w.Write(names) //nolint:errcheck // Flush tells
	return w
}

func (w csvTable) row(values ...any) error {
	cells := make([]string, len(values))
	for i, value := range values {
		cells[i] = fmt.Sprint(value)
		if s, ok := value.(string); ok {
			cells[i] = cell(s)
		}
	}
	return w.Write(cells)
}

// formulas begin with these, also in the full width of East Asian scripts.
const formulas = "=+-@\t\r\n＝＋－＠"

// cell is a text that a spreadsheet takes for no formula: labels and errors come from outside (OWASP, CSV injection).
func cell(s string) string {
	first, _ := utf8.DecodeRuneInString(s)
	if s != "" && strings.ContainsRune(formulas, first) {
		return "'" + s
	}
	return s
}

func (w csvTable) close() error {
	w.Flush()
	return w.Error()
}

type jsonLines struct {
	columns []column
	*json.Encoder
}

func (w *jsonLines) row(values ...any) error {
	object := make(map[string]any, len(values))
	for i, value := range values {
		object[w.columns[i].name] = value
	}
	return w.Encode(object)
}

func (*jsonLines) close() error { return nil }

type parquetTable struct {
	*parquet.Writer
	places []int // of the columns, which a schema puts in the order of their names
	rows   int
}

// rowGroup is so many rows: as many are in memory at once.
const rowGroup = 20_000

func newParquet(a *answer, columns []column) *parquetTable {
	group, names := parquet.Group{}, []string{}
	for _, c := range columns {
		group[c.name] = c.node()
		names = append(names, c.name)
	}
	slices.Sort(names)
	w := &parquetTable{Writer: parquet.NewWriter(a, parquet.NewSchema("usage", group), parquet.Compression(&parquet.Zstd))}
	for _, c := range columns {
		w.places = append(w.places, slices.Index(names, c.name))
	}
	return w
}

func (w *parquetTable) row(values ...any) error {
	row := make(parquet.Row, len(values))
	for i, value := range values {
		row[w.places[i]] = parquet.ValueOf(value).Level(0, 0, w.places[i])
	}
	if _, err := w.WriteRows([]parquet.Row{row}); err != nil {
		return err
	}
	if w.rows++; w.rows%rowGroup == 0 {
		return w.Flush()
	}
	return nil
}

func (w *parquetTable) close() error { return w.Close() }

var lineColumns = []column{
	text("at"), text("requestId"), text("keyId"), text("serviceAccount"), text("entityKind"), text("entity"), text("department"), text("environment"),
	text("status"), text("error"), number("httpStatus"), text("tier"), text("domain"), text("resource"), number("spendMicrocents"), decimal("latencyMs"), number("bytes"),
}

// exportLog is the request log of a range, however long it is, by and large the oldest line first.
func (q *question) exportLog(a *answer) error {
	f, err := q.filtered(filters...)
	if err != nil {
		return err
	}
	format, err := q.choice("format", formatJSONL, formatJSONL, formatCSV, formatParquet)
	if err != nil {
		return err
	}
	// The server cuts off what takes as long as no other answer does.
	http.NewResponseController(a.ResponseWriter).SetWriteDeadline(time.Now().Add(exportPatience)) //nolint:errcheck // then the server's own holds
	return a.table(format, "requests", lineColumns, func(row func(...any) error) error {
		return q.Usage.EachLine(q, q.span.from, q.span.to, &f, func(l *usagestore.Line) error {
			return row(l.At.Format(time.RFC3339Nano), l.RequestID, l.Key, l.ServiceAccount, l.EntityKind, l.EntityID, l.Department, l.Environment,
				l.Status.String(), l.Error, int64(l.HTTPStatus), l.Tier, l.Domain, l.Resource, l.SpendMicrocents, float64(l.Latency.Microseconds())/1000, l.Bytes)
		})
	})
}
