package sqlite

import (
	"context"

	"github.com/claviger-dev/claviger/internal/usage"
)

// A statement that fails ends the transaction, and so needs to keep nothing that it could take back.
const insertLines = `INSERT OR ROLLBACK INTO log (at_us, key_id, series_id, request_id, http_status, spend_microcents, latency_us, bytes, expires) VALUES `

func (a *addition) addLines(ctx context.Context, lines []usage.Event) error {
	r := newRows(a.Tx, insertLines, "", 9)
	series := memory{addition: a}
	for i := range lines {
		e := &lines[i]
		row, err := series.of(ctx, e)
		if err != nil {
			return err
		}
		err = r.add(ctx, e.At.UnixMicro(), a.keys[e.Key], row, e.RequestID, e.HTTPStatus, e.SpendMicrocents,
			e.Latency.Microseconds(), e.Bytes, usage.DayStart(e.At.Add(e.KeepLine).Unix())/usage.Day)
		if err != nil {
			return err
		}
	}
	return r.flush(ctx)
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
