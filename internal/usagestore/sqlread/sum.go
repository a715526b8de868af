package sqlread

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

// Sum implements usagestore.Reader.
func (r *Reader) Sum(ctx context.Context, q *usagestore.Query) ([]usagestore.Row, error) {
	s := summing{Reader: r, query: q, starts: usagestore.Starts(q), most: q.Most, rows: map[string]*usagestore.Row{}}
	if s.most == 0 {
		s.most = usagestore.MaxRows
	}
	if q.Every == usagestore.ByMinute {
		if err := s.addLog(ctx); err != nil {
			return nil, err
		}
		return s.answer(ctx)
	}
	for _, part := range plan(q, s.starts) {
		if err := s.add(ctx, part); err != nil {
			return nil, err
		}
	}
	return s.answer(ctx)
}

// summing is a question that is being answered.
type summing struct {
	*Reader
	query  *usagestore.Query
	starts []time.Time
	most   int                        // rows
	rows   map[string]*usagestore.Row // by bucket and values
}

// dimensions are the columns that sums are told apart by. The status always is, since each has a sum of its own.
func (s *summing) dimensions() string {
	list := []string{"s.status"}
	for _, d := range s.query.By {
		list = append(list, columns[d])
	}
	return strings.Join(list, ", ")
}

// Summed up are these.
var measures = "CAST(sum(r.count) AS bigint), " + sumOf("r.spend_microcents") + ", " + sumOf("r.latency_us") + ", CAST(sum(r.timed) AS bigint), " + sumOf("r.bytes")

// sumOf ends where usage.Sum ends. (In PostgreSQL a sum of integers is no integer, and may be larger than one.)
func sumOf(column string) string {
	return fmt.Sprintf("CAST(CASE WHEN sum(%s) > %d THEN %d ELSE sum(%s) END AS bigint)", column, int64(usage.MaxSum), int64(usage.MaxSum), column)
}

func (s *summing) add(ctx context.Context, part interval) error {
	b := &builder{dialect: s.dialect}
	text, err := s.statement(ctx, b, part)
	if err != nil {
		return err
	}
	return s.each(ctx, text, b.values, s.take)
}

func (s *summing) statement(ctx context.Context, b *builder, part interval) (string, error) {
	table, step := "hours", int64(usage.Hour)
	if part.days {
		table, step = "days", usage.Day
	}
	start, dimensions := "0", s.dimensions()
	if len(s.starts) > 1 {
		start = "r.start"
	}
	grouped := dimensions
	if len(s.starts) > 1 {
		grouped += ", r.start"
	}
	if s.dialect == SQLite {
		few, err := s.few(ctx, (part.to-part.from)/step)
		if err != nil {
			return "", err
		}
		if few {
			return lookUp(b, &s.query.Filter, part, table, start, dimensions, grouped), nil
		}
	}
	from, to := b.value(part.from), b.value(part.to)
	return fmt.Sprintf("SELECT %s, %s, %s FROM %s r JOIN series s ON s.id = r.series_id WHERE r.start >= %s AND r.start < %s AND %s GROUP BY %s",
		start, dimensions, measures, table, from, to, b.where(&s.query.Filter), grouped), nil
}

// lookUp looks up each start of each series, for SQLite: its tables lie in the order of time, so that a range of
// it holds the rows of everybody. In a series that never had quarters of hours none are looked up.
func lookUp(b *builder, f *usagestore.Filter, part interval, table, start, dimensions, grouped string) string {
	step, only := int64(usage.Day), ""
	if !part.days {
		step, only = usage.Quarter, "AND (s.quarters = 1 OR t.start % "+strconv.Itoa(usage.Hour)+" = 0)"
	}
	from, to := b.value(part.from), b.value(part.to)
	return fmt.Sprintf(`WITH RECURSIVE starts (start) AS (SELECT %s UNION ALL SELECT start + %d FROM starts WHERE start + %d < %s)
SELECT %s, %s, %s FROM series s CROSS JOIN starts t CROSS JOIN %s r ON r.start = t.start AND r.series_id = s.id
WHERE %s %s GROUP BY %s`, from, step, step, to, start, dimensions, measures, table, b.where(f), only, grouped)
}

// few says whether a filter selects so few series that to look each up is faster than to read all.
func (s *summing) few(ctx context.Context, starts int64) (bool, error) {
	b := &builder{dialect: s.dialect}
	var selected, all int64
	err := s.db.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM series s WHERE "+b.where(&s.query.Filter)+"), (SELECT coalesce(max(id), 0) FROM series)", b.values...).
		Scan(&selected, &all)
	return selected*max(starts, 1) < 1000 || selected < all/8, s.explain(err)
}

// addLog sums up the log, for what no roll-up is fine enough.
func (s *summing) addLog(ctx context.Context) error {
	const minute = int64(time.Minute / time.Microsecond)
	b := &builder{dialect: s.dialect}
	from, to := b.value(s.query.From.UnixMicro()), b.value(s.query.To.UnixMicro())
	start := fmt.Sprintf("l.at_us / %d * 60", minute)
	text := fmt.Sprintf(`SELECT %s, %s, count(*), %s, %s,
    sum(CASE WHEN l.latency_us > 0 THEN 1 ELSE 0 END), %s
FROM log l JOIN series s ON s.id = l.series_id WHERE %s AND l.at_us >= %s AND l.at_us < %s AND %s GROUP BY %s, %s`,
		start, s.dimensions(), sumOf("l.spend_microcents"), sumOf("l.latency_us"), sumOf("l.bytes"), keysOf(b, &s.query.Filter), from, to, b.where(&s.query.Filter), start, s.dimensions())
	return s.each(ctx, text, b.values, s.take)
}

// take adds a row that was read.
func (s *summing) take(rows *sql.Rows) error {
	var start int64
	var status string
	var m usage.Measures
	values := make([]any, len(s.query.By))
	into := []any{&start, &status}
	for i := range values {
		values[i] = new(string)
		into = append(into, values[i])
	}
	if err := rows.Scan(append(into, &m.Count, &m.SpendMicrocents, &m.LatencyMicros, &m.Timed, &m.Bytes)...); err != nil {
		return s.explain(err)
	}
	bucket := 0
	if len(s.starts) > 1 {
		if bucket = bucketOf(s.starts, start); bucket < 0 {
			return nil
		}
	}
	row := &usagestore.Row{Values: make([]string, len(values))}
	name := strconv.Itoa(bucket)
	for i := range values {
		row.Values[i] = *values[i].(*string)
		name += "\x00" + row.Values[i]
	}
	if s.query.Every != "" {
		row.Start = s.starts[bucket]
	}
	if known := s.rows[name]; known != nil {
		row = known
	} else if len(s.rows) >= s.most {
		return usagestore.ErrTooManyRows
	}
	s.rows[name] = row
	known, ok := usage.ParseStatus(status)
	if !ok {
		return fmt.Errorf("the usage store has the status %q, which this Claviger does not know: upgrade it", status)
	}
	row.Add(known, m)
	return nil
}

// answer makes key IDs of their rows.
func (s *summing) answer(ctx context.Context) ([]usagestore.Row, error) {
	answer := make([]usagestore.Row, 0, len(s.rows))
	for _, row := range s.rows {
		answer = append(answer, *row)
	}
	for i, d := range s.query.By {
		if d != usagestore.ByKey {
			continue
		}
		if err := s.nameKeys(ctx, answer, i); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// So many keys are named by one statement.
const namedAtOnce = 500

func (s *summing) nameKeys(ctx context.Context, answer []usagestore.Row, place int) error {
	names := map[string]string{} // by the numbers of their rows
	for i := range answer {
		names[answer[i].Values[place]] = ""
	}
	for some := range slices.Chunk(slices.Collect(maps.Keys(names)), namedAtOnce) {
		b := &builder{dialect: s.dialect}
		numbers := make([]string, len(some))
		for i, text := range some {
			number, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return err
			}
			numbers[i] = b.value(number)
		}
		err := s.each(ctx, "SELECT id, key FROM keys WHERE id IN ("+strings.Join(numbers, ", ")+")", b.values, func(rows *sql.Rows) error {
			var number int64
			var name string
			err := rows.Scan(&number, &name)
			names[strconv.FormatInt(number, 10)] = name
			return s.explain(err)
		})
		if err != nil {
			return err
		}
	}
	for i := range answer {
		answer[i].Values[place] = names[answer[i].Values[place]]
	}
	return nil
}
