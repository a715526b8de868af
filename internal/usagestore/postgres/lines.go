package postgres

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"io"
	"slices"

	"github.com/claviger-dev/claviger/internal/usage"
)

const copyLines = `COPY log (at_us, key_id, series_id, request_id, http_status, spend_microcents, latency_us, bytes, expires) FROM STDIN (FORMAT binary)`

// copyLines copies lines into the log. The driver's own way takes a piece of memory for each value, and a third of the
// time.
func (a *addition) copyLines(ctx context.Context, lines []usage.Line) error {
	if len(lines) == 0 {
		return nil
	}
	// The lines of a key lie beside each other in the index: so a batch goes into fewer places of that.
	order := make([]int, len(lines))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(bytes.Compare(lines[a].Series.Key[:], lines[b].Series.Key[:]), cmp.Compare(a, b))
	})
	stream := &lineStream{addition: a, lines: lines, order: order}
	stream.buffer = append(stream.buffer, copyHead...)
	_, err := a.Conn().PgConn().CopyFrom(ctx, stream, copyLines)
	return err
}

// The binary form of COPY (PostgreSQL's manual, "COPY", binary format): the head, then tuples, and -1 for a length at
// the end.
const (
	copyHead    = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"
	copyEnd     = "\xff\xff"
	lineColumns = 9
)

// lineStream is an io.Reader of lines in that form.
type lineStream struct {
	*addition
	lines  []usage.Line
	order  []int // of those that are left
	buffer []byte
	ended  bool
}

// Some tens of lines are written at once.
const streamBuffer = 16 << 10

// Read implements io.Reader.
func (s *lineStream) Read(p []byte) (n int, err error) {
	for len(s.order) > 0 && len(s.buffer) < streamBuffer {
		s.append(&s.lines[s.order[0]])
		s.order = s.order[1:]
	}
	if len(s.order) == 0 && !s.ended {
		s.buffer, s.ended = append(s.buffer, copyEnd...), true
	}
	if len(s.buffer) == 0 {
		return 0, io.EOF
	}
	n = copy(p, s.buffer)
	s.buffer = s.buffer[:copy(s.buffer, s.buffer[n:])]
	return n, nil
}

func (s *lineStream) append(l *usage.Line) {
	at := s.placeOf(l.Series)
	b := binary.BigEndian.AppendUint16(s.buffer, lineColumns)
	b = appendInt64(b, l.At.UnixMicro())
	b = appendInt64(b, at.key)
	b = appendInt64(b, at.series)
	b = binary.BigEndian.AppendUint32(b, uint32(len(l.RequestID)))
	b = append(b, l.RequestID...)
	b = appendInt32(b, int32(l.HTTPStatus))
	b = appendInt64(b, l.SpendMicrocents)
	b = appendInt64(b, l.Latency.Microseconds())
	b = appendInt64(b, l.Bytes)
	s.buffer = appendInt32(b, int32(l.ExpiryDay()))
}

func appendInt64(b []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, 8), uint64(n))
}

func appendInt32(b []byte, n int32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, 4), uint32(n))
}
