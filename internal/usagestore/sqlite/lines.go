package sqlite

import (
	"context"

	"github.com/claviger-dev/claviger/internal/usage"
)

// A statement that fails ends the transaction, and so needs to keep nothing that it could take back.
const insertLines = `INSERT OR ROLLBACK INTO log (at_us, key_id, series_id, request_id, http_status, spend_microcents, latency_us, bytes, expires) VALUES `

func (a *addition) addLines(ctx context.Context, lines []usage.Line) error {
	r := newRows(a.Tx, insertLines, "", 9)
	for i := range lines {
		l := &lines[i]
		row, err := a.series.of(ctx, a, l.Series)
		if err != nil {
			return err
		}
		err = r.add(ctx, l.At.UnixMicro(), a.keys[l.Series.Key], row, l.RequestID, l.HTTPStatus, l.SpendMicrocents,
			l.Latency.Microseconds(), l.Bytes, l.ExpiryDay())
		if err != nil {
			return err
		}
	}
	return r.flush(ctx)
}
