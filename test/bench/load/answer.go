package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// answer is an HTTP/1.1 answer as far as the generator looks at it.
type answer struct {
	status int
	body   []byte
	length int // of the whole, in bytes
}

var (
	endOfHeader   = []byte("\r\n\r\n")
	contentLength = []byte("\r\nContent-Length: ")

	errIncomplete = errors.New("more is to come")
)

// parseAnswer reads an answer off the beginning of b. It returns errIncomplete while not all
// of it is there. It reads what net/http writes: a Content-Length in this spelling, unless the
// status has no body.
func parseAnswer(b []byte) (answer, error) {
	end := bytes.Index(b, endOfHeader)
	if end < 0 {
		return answer{}, errIncomplete
	}
	header := b[:end+2] // the last line's end, too
	if len(header) < 14 || string(header[:9]) != "HTTP/1.1 " {
		return answer{}, fmt.Errorf("not an answer of HTTP/1.1: %.40q", header)
	}
	status, err := strconv.Atoi(string(header[9:12]))
	if err != nil {
		return answer{}, fmt.Errorf("not a status of HTTP/1.1: %.40q", header)
	}
	a := answer{status: status, length: end + len(endOfHeader)}
	if status == 204 || status == 304 {
		return a, nil
	}
	at := bytes.Index(header, contentLength)
	if at < 0 {
		return answer{}, errors.New("an answer without Content-Length")
	}
	digits := header[at+len(contentLength):]
	length, err := strconv.Atoi(string(digits[:bytes.IndexByte(digits, '\r')]))
	if err != nil || length < 0 {
		return answer{}, errors.New("an answer whose Content-Length is no number")
	}
	if len(b) < a.length+length {
		return answer{}, errIncomplete
	}
	a.body = b[a.length : a.length+length]
	a.length += length
	return a, nil
}
