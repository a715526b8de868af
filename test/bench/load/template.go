// Package load asks servers as fast as they answer, or at a steady pace, over connections
// that are kept open. A question is a copy of bytes made beforehand with a few places filled
// in, and of an answer no more is read than tells whether it is the expected one: what the generator costs
// is small, and the same for every server.
package load

import (
	"bytes"
	"fmt"
)

// Records are rows of equal length: what differs from question to question.
type Records struct {
	Data   []byte
	Length int // of one
}

// Count is how many there are.
func (r Records) Count() int { return len(r.Data) / r.Length }

// At is the record at a place from 0.
func (r Records) At(i int) []byte { return r.Data[i*r.Length : (i+1)*r.Length] }

// Template is the bytes of a question with places for parts of a record.
type Template struct {
	Bytes []byte
	slots []slot
}

type slot struct {
	to, from, length int // to: in the question, from: in the record
}

// Slot fills the only occurrence of an example in the question with what stands at a place in
// the record, and as long. The bytes of the question are the template's own from now on.
func (t *Template) Slot(example []byte, from int) error {
	to := bytes.Index(t.Bytes, example)
	if to < 0 || len(example) == 0 || bytes.Contains(t.Bytes[to+1:], example) {
		return fmt.Errorf("load: an example of %d bytes must occur in the question exactly once", len(example))
	}
	t.slots = append(t.slots, slot{to, from, len(example)})
	return nil
}

// fill writes a record into a copy of the template's bytes.
func (t *Template) fill(question, record []byte) {
	for _, s := range t.slots {
		copy(question[s.to:s.to+s.length], record[s.from:])
	}
}
