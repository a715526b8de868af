package httpapi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
)

// What is read of a body at most, in bytes: many times what the longest sensible question
// needs.
const (
	maxBody      = 64 << 10
	maxBatchBody = 4 * maxBody
)

// readBody reads all of the body, which may be as long as the limit. A body that takes too long is
// errOverloaded.
func (x *exchange) readBody(limit int) error {
	if x.ContentLength > int64(limit) {
		return x.tooLong(limit)
	}
	if x.gate != nil && x.ContentLength != 0 {
		defer x.bodyCame()
		if err := x.awaitBody(); err != nil {
			return err
		}
	}
	// A length is a promise. Only where it is a small one is there room for all of it at once;
	// the byte more is for the end.
	x.in = slices.Grow(x.in[:0], min(max(int(x.ContentLength), 0), 4<<10)+1)
	for {
		n, err := x.Body.Read(x.in[len(x.in):cap(x.in)])
		x.in = x.in[:len(x.in)+n]
		switch {
		case len(x.in) > limit:
			return x.tooLong(limit)
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return errOverloaded
		case err != nil:
			return malformed("the body broke off; send it again")
		}
		if len(x.in) == cap(x.in) {
			x.in = grown(x.in)
		}
	}
}

// grown is twice the memory. What is left behind is cleared: a key may stand in it.
func grown(b []byte) []byte {
	larger := append(make([]byte, 0, 2*cap(b)+512), b...)
	clear(b)
	return larger
}

// tooLong also ends the connection, or the rest would have to be read to get to the next request.
func (x *exchange) tooLong(limit int) error {
	x.header.add("Connection", "close")
	return &invalid{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is longer than %d bytes", limit)}
}
