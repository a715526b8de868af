package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/claviger-dev/claviger/internal/usage"
)

// So many lines are inserted by one statement: it is what each costs beside its values.
const linesAtOnce = 50

const lineColumns = 9

const insertLines = `INSERT INTO log (at_us, key_id, series_id, request_id, http_status, spend_microcents, latency_us, bytes, expires) VALUES `

func insertOf(lines int) string {
	const values = "(?, ?, ?, ?, ?, ?, ?, ?, ?)"
	return insertLines + values + strings.Repeat(", "+values, lines-1)
}

func (a *addition) addLines(ctx context.Context, lines []usage.Event) error {
	if len(lines) == 0 {
		return nil
	}
	many, err := a.PrepareContext(ctx, insertOf(linesAtOnce))
	if err != nil {
		return err
	}
	series := memory{addition: a}
	values := make([]any, 0, linesAtOnce*lineColumns)
	for chunk := range slices.Chunk(lines, linesAtOnce) {
		values = values[:0]
		for i := range chunk {
			e := &chunk[i]
			row, err := series.of(ctx, e)
			if err != nil {
				return err
			}
			values = append(values, e.At.UnixMicro(), a.keys[e.Key], row, e.RequestID, e.HTTPStatus, e.SpendMicrocents,
				e.Latency.Microseconds(), e.Bytes, usage.DayStart(e.At.Add(e.KeepLine).Unix())/usage.Day)
		}
		var statement *sql.Stmt
		if statement = many; len(chunk) < linesAtOnce {
			if statement, err = a.PrepareContext(ctx, insertOf(len(chunk))); err != nil {
				return err
			}
		}
		if _, err := statement.ExecContext(ctx, values...); err != nil {
			return err
		}
	}
	return nil
}

// memory remembers the series of the lines of a batch, most of which are of few: that is found in a fraction of the
// time that a hash takes.
type memory struct {
	*addition
	rows map[usage.Series]int64
}

func (m *memory) of(ctx context.Context, e *usage.Event) (row int64, err error) {
	series := usage.SeriesOf(e)
	if row, ok := m.rows[series]; ok {
		return row, nil
	}
	if row, err = m.series.of(ctx, m.addition, &series); err != nil {
		return 0, err
	}
	if m.rows == nil {
		m.rows = map[usage.Series]int64{}
	}
	m.rows[series] = row
	return row, nil
}
