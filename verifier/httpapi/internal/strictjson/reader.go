// Package strictjson reads and writes the JSON (RFC 8259) of the doors without reflection and
// nearly without memory of its own. It reads strings and numbers as encoding/json does, and leaves
// it to its caller, who is handed one field at a time, to refuse those that are not known or are there twice.
package strictjson

import "errors"

// What can be wrong with a value. Reader.Offset tells where.
var (
	// ErrSyntax is text that is no JSON.
	ErrSyntax = errors.New("not JSON")
	// ErrType is a value of another kind than the one asked for, or a number that does not fit.
	ErrType = errors.New("another kind of value")
)

// Reader reads one JSON text from memory. After an error it must not be read on.
type Reader struct {
	data    []byte
	at      int    // the next byte
	token   int    // the end of the last whole token
	first   bool   // an object or list was just begun
	scratch []byte // for strings that are not written as they read
}

// Reset begins with another text. The reader keeps it, but returns no part of it other than
// the names that Field and the bytes that Raw return.
func (r *Reader) Reset(data []byte) {
	scratch := r.scratch[:cap(r.scratch)]
	if len(scratch) > maxScratch {
		scratch = nil
	}
	clear(scratch) // there may have been a secret in it
	*r = Reader{data: data, scratch: scratch[:0]}
}

// maxScratch is how much memory a reader keeps for later.
const maxScratch = 4096

// Offset is how many bytes were read without a mistake.
func (r *Reader) Offset() int { return r.token }

// Empty says that there was nothing to read, or only blanks.
func (r *Reader) Empty() bool { return r.token == 0 && r.End() }

// Object begins an object. It is false for null, which takes its place.
func (r *Reader) Object() (bool, error) { return r.begin('{') }

// List begins a list. It is false for null, which takes its place.
func (r *Reader) List() (bool, error) { return r.begin('[') }

func (r *Reader) begin(bracket byte) (bool, error) {
	switch c := r.peek(); c {
	case bracket:
		r.take(1)
		r.first = true
		return true, nil
	default:
		return false, r.null(c)
	}
}

// Field begins the next field of an object and returns its name, or false after the last.
// The name is good until anything else is read.
func (r *Reader) Field() ([]byte, bool, error) {
	if more, err := r.next('}'); !more || err != nil {
		return nil, false, err
	}
	if r.peek() != '"' {
		return nil, false, ErrSyntax
	}
	name, err := r.text()
	if err != nil {
		return nil, false, err
	}
	if r.peek() != ':' {
		return nil, false, ErrSyntax
	}
	r.take(1)
	return name, true, nil
}

// Item begins the next item of a list, or is false after the last.
func (r *Reader) Item() (bool, error) { return r.next(']') }

// next is what comes after the value before: the end, or a comma and then more.
func (r *Reader) next(end byte) (bool, error) {
	first := r.first
	r.first = false
	switch c := r.peek(); {
	case c == end:
		r.take(1)
		return false, nil
	case first:
		return true, nil
	case c == ',':
		r.take(1)
		return true, nil
	}
	return false, ErrSyntax
}

// End is false if anything but blanks follows.
func (r *Reader) End() bool {
	r.peek()
	return r.at == len(r.data)
}

// Text reads a string; null is an empty one.
func (r *Reader) Text() (string, error) {
	if c := r.peek(); c != '"' {
		return "", r.null(c)
	}
	text, err := r.text()
	return string(text), err
}

// Bool reads true or false; null is false.
func (r *Reader) Bool() (bool, error) {
	switch c := r.peek(); c {
	case 't':
		return true, r.literal("true")
	case 'f':
		return false, r.literal("false")
	default:
		return false, r.null(c)
	}
}

// null reads null where a value of some kind was expected, and tells values of other kinds
// from what is none. The byte is the first of the value.
func (r *Reader) null(c byte) error {
	switch {
	case c == 'n':
		return r.literal("null")
	case c == '"', c == '{', c == '[', c == 't', c == 'f', c == '-', isDigit(c):
		return ErrType
	}
	return ErrSyntax
}

func (r *Reader) literal(word string) error {
	if len(r.data)-r.at < len(word) || string(r.data[r.at:r.at+len(word)]) != word {
		return ErrSyntax
	}
	r.take(len(word))
	return nil
}

// peek skips blanks and returns the byte behind them, without taking it; 0, which begins
// nothing, at the end.
func (r *Reader) peek() byte {
	for ; r.at < len(r.data); r.at++ {
		switch c := r.data[r.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// take goes over the rest of a token.
func (r *Reader) take(n int) {
	r.at += n
	r.token = r.at
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
