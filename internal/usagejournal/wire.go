package usagejournal

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
)

// wire reads or writes values, one after the other, so that what is written and what is read is said once,
// in records.go. A text that comes again is written as its number.
type wire struct {
	out     []byte
	in      []byte
	reading bool
	numbers map[string]uint64 // of texts that were written, from 1
	texts   []string          // that were read
	// of series likewise, where lines are to name them
	numbering     bool
	seriesNumbers map[*usage.Series]int64
	seriesRead    []*usage.Series
	// before are the texts of the attribution and of the details before.
	before struct {
		attribution [6]string
		details     [4]string
	}
	err error
}

var errCutOff = errors.New("it ends in the middle, or is damaged")

func writer(out []byte) *wire {
	return &wire{out: out, numbers: map[string]uint64{}, seriesNumbers: map[*usage.Series]int64{}}
}

// reset makes it one that begins anew, with the memory that it has.
func (w *wire) reset(out []byte) {
	numbers, series := w.numbers, w.seriesNumbers
	clear(numbers)
	clear(series)
	*w = wire{out: out, numbers: numbers, seriesNumbers: series}
}

func reader(in []byte) *wire { return &wire{in: in, reading: true} }

func (w *wire) number(n *int64) {
	if !w.reading {
		w.out = binary.AppendVarint(w.out, *n)
		return
	}
	var length int
	if *n, length = binary.Varint(w.in); length <= 0 {
		w.fail()
		return
	}
	w.in = w.in[length:]
}

// length is that of a list, which takes at least a byte for each of its items.
func (w *wire) length(n int) int {
	length := int64(n)
	w.number(&length)
	if w.reading && (length < 0 || length > int64(len(w.in))) {
		w.fail()
		return 0
	}
	return int(length)
}

func (w *wire) text(s *string) {
	if !w.reading {
		if n, ok := w.numbers[*s]; ok {
			w.out = binary.AppendUvarint(w.out, n)
			return
		}
		w.numbers[*s] = uint64(len(w.numbers) + 1)
		w.out = append(w.out, 0)
		w.unique(s)
		return
	}
	switch n := w.unsigned(); {
	case w.err != nil:
	case n == 0:
		w.unique(s)
		w.texts = append(w.texts, *s)
	case n > uint64(len(w.texts)):
		w.fail()
	default:
		*s = w.texts[n-1]
	}
}

// like are texts of which each is mostly the one before in its place: which are not is told by the bits of a number.
func (w *wire) like(before []string, texts ...*string) {
	var changed int64
	for i, s := range texts {
		if !w.reading && *s != before[i] {
			changed |= 1 << i
		}
	}
	w.number(&changed)
	for i, s := range texts {
		switch {
		case changed>>i&1 == 1:
			w.text(s)
			before[i] = *s
		case w.reading:
			*s = before[i]
		}
	}
}

// unique is a text that does not come again.
func (w *wire) unique(s *string) {
	if !w.reading {
		w.out = append(binary.AppendUvarint(w.out, uint64(len(*s))), *s...)
		return
	}
	length := w.unsigned()
	if length > uint64(len(w.in)) {
		w.fail()
		return
	}
	*s = string(w.in[:length])
	w.in = w.in[length:]
}

// end is an error where not all was read, or something was not as it is written.
func (w *wire) end() error {
	if w.err == nil && len(w.in) > 0 {
		w.err = errTooLong
	}
	return w.err
}

func (w *wire) unsigned() uint64 {
	n, length := binary.Uvarint(w.in)
	if length <= 0 {
		w.fail()
		return 0
	}
	w.in = w.in[length:]
	return n
}

// time is kept to the nanosecond; the zero time stays one.
func (w *wire) time(t *time.Time) {
	var nanos int64
	if !t.IsZero() {
		nanos = t.UnixNano()
	}
	if w.number(&nanos); w.reading && nanos != 0 {
		*t = time.Unix(0, nanos).UTC()
	}
}

func (w *wire) flag(b *bool) {
	var n int64
	if *b {
		n = 1
	}
	w.number(&n)
	*b = n != 0
}

func (w *wire) key(id *keyid.ID) {
	if !w.reading {
		w.out = append(w.out, id[:]...)
		return
	}
	if len(w.in) < len(id) {
		w.fail()
		return
	}
	w.in = w.in[copy(id[:], w.in):]
}

// series gives a series that was written or read the next number.
func (w *wire) series(s *usage.Series) {
	if w.reading {
		w.seriesRead = append(w.seriesRead, s)
		return
	}
	if w.numbering {
		w.seriesNumbers[s] = int64(len(w.seriesNumbers) + 1)
	}
}

// seriesNumber is the number of a series; zero, and the series after that: it has none yet.
func (w *wire) seriesNumber(s **usage.Series) {
	n := w.seriesNumbers[*s]
	w.number(&n)
	switch {
	case w.err != nil:
	case n == 0:
		if w.reading {
			*s = &usage.Series{}
		}
		w.key(&(*s).Key)
		attribution(w, &(*s).Attribution)
		details(w, &(*s).Details)
		w.series(*s)
	case !w.reading:
	case n < 0 || n > int64(len(w.seriesRead)):
		w.fail()
	default:
		*s = w.seriesRead[n-1]
	}
}

// fail ends reading: everything that follows is zero.
func (w *wire) fail() {
	if w.err == nil {
		w.err = errCutOff
	}
	w.in = nil
}

// number reads or writes an integer of whatever type.
func number[Number ~int | ~int64 | ~uint32 | ~uint8](w *wire, n *Number) {
	value := int64(*n)
	w.number(&value)
	*n = Number(value)
}
