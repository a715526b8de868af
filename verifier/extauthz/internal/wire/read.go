package wire

import (
	"errors"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// errMalformed says nothing of the message, which may hold a key.
var errMalformed = errors.New("the message is no CheckRequest")

// Read reads a CheckRequest by the rules of protobuf: of a field that is there twice the last
// one counts, messages that are there twice are merged, and what is not known is skipped. It
// accepts just what the generated code accepts. After an error the request must be Reset.
//
// The rules: https://protobuf.dev/programming-guides/encoding/
func (r *Request) Read(b []byte) error {
	return r.read(b, checkRequest, protowire.DefaultRecursionLimit)
}

// read reads a message, in which others may be nested to a depth.
func (r *Request) read(b []byte, m message, depth int) error {
	if depth--; depth < 0 {
		return errMalformed
	}
	for len(b) > 0 {
		number, content, rest, err := next(b)
		if err != nil {
			return err
		}
		b = rest
		if int(number) < len(m) {
			if err := r.field(content, &m[number], depth); err != nil {
				return err
			}
		}
	}
	return nil
}

// next reads a field. One of another wire type than 2 is a number, or not of the type that the
// schema says, and so not known: it is skipped, and told as number 0, which no message has.
func next(b []byte) (number protowire.Number, content, rest []byte, err error) {
	// Most fields are short and of a small number, so that one byte each says so.
	const bytesType = byte(protowire.BytesType)
	if len(b) >= 2 && b[0] < 0x80 && b[0] >= 1<<3 && b[0]&7 == bytesType && b[1] < 0x80 && int(b[1]) <= len(b)-2 {
		end := 2 + int(b[1])
		return protowire.Number(b[0] >> 3), b[2:end], b[end:], nil
	}
	number, wireType, n := protowire.ConsumeTag(b)
	if n < 0 || number > protowire.MaxValidNumber {
		return 0, nil, nil, errMalformed
	}
	b = b[n:]
	if wireType != protowire.BytesType {
		if n = protowire.ConsumeFieldValue(number, wireType, b); n < 0 {
			return 0, nil, nil, errMalformed
		}
		return 0, nil, b[n:], nil
	}
	if content, n = protowire.ConsumeBytes(b); n < 0 {
		return 0, nil, nil, errMalformed
	}
	return number, content, b[n:], nil
}

func (r *Request) field(content []byte, f *field, depth int) error {
	switch f.kind {
	case stringField:
		if !utf8.Valid(content) {
			return errMalformed
		}
	case messageField:
		if f.keep == keepRawHeader {
			r.entry, r.value = Pair{}, nil
		}
		if err := r.read(content, *f.of, depth); err != nil {
			return err
		}
	case mapField:
		if err := r.readEntry(content, f.of, depth); err != nil {
			return err
		}
	}
	switch f.keep {
	case keepSource:
		r.Source = content
	case keepNoSource:
		r.Source = nil
	case keepID:
		r.ID = content
	case keepPath:
		r.Path = content
	case keepExtension:
		r.Extensions = append(r.Extensions, r.entry)
	case keepHeader:
		r.setHeader(r.entry.Name, r.entry.Value)
	case keepRawName:
		r.entry.Name = content
	case keepRawText:
		r.entry.Value = content
	case keepRawValue:
		r.value = content
	case keepRawHeader:
		if len(r.value) == 0 {
			r.value = r.entry.Value
		}
		r.addHeader(r.entry.Name, r.value)
	}
	return nil
}

// readEntry reads an entry of a map. A key or a value that is missing is empty.
func (r *Request) readEntry(b []byte, of *message, depth int) error {
	if depth--; depth < 0 {
		return errMalformed
	}
	var entry Pair
	for len(b) > 0 {
		number, content, rest, err := next(b)
		if err != nil {
			return err
		}
		b = rest
		switch {
		case number == 2 && of != nil:
			if err := r.read(content, *of, depth); err != nil {
				return err
			}
		case number != 1 && number != 2:
		case !utf8.Valid(content):
			return errMalformed
		case number == 1:
			entry.Name = content
		default:
			entry.Value = content
		}
	}
	r.entry = entry
	return nil
}
