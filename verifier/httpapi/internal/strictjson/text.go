package strictjson

import (
	"unicode/utf16"
	"unicode/utf8"
)

// text reads a string of which the first quotation mark is next. What it returns is a part
// of what is read, or of the scratch memory.
func (r *Reader) text() ([]byte, error) {
	begin := r.at + 1
	for i := begin; i < len(r.data); i++ {
		switch c := r.data[i]; {
		case c == '"':
			r.take(i + 1 - r.at)
			return r.data[begin:i], nil
		case c < ' ':
			return nil, ErrSyntax
		case c == '\\', c >= utf8.RuneSelf:
			return r.unquote(begin, i)
		}
	}
	return nil, ErrSyntax
}

// unquote reads a string that begins at a place and is written as it reads up to another.
// As in encoding/json, what is no UTF-8, and half of a surrogate pair, becomes U+FFFD.
func (r *Reader) unquote(begin, plain int) ([]byte, error) {
	text := append(r.scratch[:0], r.data[begin:plain]...)
	defer func() { r.scratch = text }()
	for i := plain; i < len(r.data); {
		switch c := r.data[i]; {
		case c == '"':
			r.take(i + 1 - r.at)
			return text, nil
		case c < ' ':
			return nil, ErrSyntax
		case c == '\\':
			var read int
			if text, read = appendEscaped(text, r.data[i:]); read == 0 {
				return nil, ErrSyntax
			}
			i += read
		case c < utf8.RuneSelf:
			text = append(text, c)
			i++
		default:
			read, size := utf8.DecodeRune(r.data[i:])
			text = utf8.AppendRune(text, read)
			i += size
		}
	}
	return nil, ErrSyntax
}

// appendEscaped reads what a backslash begins and tells its length: 0 if it is nothing.
func appendEscaped(b, data []byte) ([]byte, int) {
	if len(data) < 2 {
		return b, 0
	}
	switch c := data[1]; c {
	case '"', '\\', '/':
		return append(b, c), 2
	case 'b':
		return append(b, '\b'), 2
	case 'f':
		return append(b, '\f'), 2
	case 'n':
		return append(b, '\n'), 2
	case 'r':
		return append(b, '\r'), 2
	case 't':
		return append(b, '\t'), 2
	}
	high, ok := escapedUnit(data)
	if !ok {
		return b, 0
	}
	if utf16.IsSurrogate(high) {
		low, _ := escapedUnit(data[unitLength:])
		if pair := utf16.DecodeRune(high, low); pair != utf8.RuneError {
			return utf8.AppendRune(b, pair), 2 * unitLength
		}
	}
	return utf8.AppendRune(b, high), unitLength // half a pair becomes U+FFFD
}

const unitLength = len(`\u0000`)

// escapedUnit reads \u and four hexadecimal digits: a unit of UTF-16.
func escapedUnit(data []byte) (rune, bool) {
	if len(data) < unitLength || data[0] != '\\' || data[1] != 'u' {
		return 0, false
	}
	var unit rune
	for _, c := range data[2:unitLength] {
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		unit = unit<<4 | rune(c)
	}
	return unit, true
}
