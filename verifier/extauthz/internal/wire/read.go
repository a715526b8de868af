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
		number, wireType, n := protowire.ConsumeTag(b)
		if n < 0 || number > protowire.MaxValidNumber {
			return errMalformed
		}
		b = b[n:]
		if wireType != protowire.BytesType {
			// A number, or not of the type that the schema says, and so not known.
			if n = protowire.ConsumeFieldValue(number, wireType, b); n < 0 {
				return errMalformed
			}
			b = b[n:]
			continue
		}
		content, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return errMalformed
		}
		b = b[n:]
		if int(number) < len(m) {
			if err := r.field(content, &m[number], depth); err != nil {
				return err
			}
		}
	}
	return nil
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
		number, wireType, n := protowire.ConsumeTag(b)
		if n < 0 || number > protowire.MaxValidNumber {
			return errMalformed
		}
		b = b[n:]
		if wireType != protowire.BytesType || number > 2 {
			if n = protowire.ConsumeFieldValue(number, wireType, b); n < 0 {
				return errMalformed
			}
			b = b[n:]
			continue
		}
		content, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return errMalformed
		}
		b = b[n:]
		if number == 2 && of != nil {
			if err := r.read(content, *of, depth); err != nil {
				return err
			}
			continue
		}
		if !utf8.Valid(content) {
			return errMalformed
		}
		if number == 1 {
			entry.Name = content
		} else {
			entry.Value = content
		}
	}
	r.entry = entry
	return nil
}
