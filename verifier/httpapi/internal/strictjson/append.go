package strictjson

import "unicode/utf8"

const hex = "0123456789abcdef"

// AppendString appends a string as encoding/json writes it: what could end a script element
// of HTML, and what is no UTF-8, is escaped.
func AppendString[T string | []byte](b []byte, s T) []byte {
	b = append(b, '"')
	begin := 0 // of what is still to be copied as it is
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			b = appendEscape(append(b, s[begin:i]...), c)
			i++
			begin = i
			continue
		}
		read, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
		switch {
		case read == utf8.RuneError && size == 1:
			b = append(append(b, s[begin:i]...), `\ufffd`...)
			begin = i + size
		case read == '\u2028', read == '\u2029': // they end a line in JavaScript
			b = append(append(b, s[begin:i]...), `\u202`...)
			b = append(b, hex[read&0xF])
			begin = i + size
		}
		i += size
	}
	b = append(b, s[begin:]...)
	return append(b, '"')
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, '\\', 'b')
	case '\f':
		return append(b, '\\', 'f')
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xF])
}

// plain are the bytes that stand for themselves.
var plain = func() (plain [256]bool) {
	for c := byte(' '); c < utf8.RuneSelf; c++ {
		switch c {
		case '"', '\\', '<', '>', '&':
		default:
			plain[c] = true
		}
	}
	return plain
}()
