package httpapi

import (
	"net/http"
	"strconv"
	"sync"

	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/httpapi/internal/strictjson"
	"github.com/claviger-dev/claviger/verifier/internal/presented"
)

// exchange is one request at a door, and the answer that the door makes up. Nothing is
// written before the door has returned, so that nothing is half written when it panics.
//
// Exchanges are used again, as the memory they hold would else be most of what a request costs.
// A key in plain text must not outlive its request there: release clears all that may hold one.
type exchange struct {
	*http.Request
	writer    http.ResponseWriter
	requestID string
	// ownID is an ID that no request has yet; empty: none was made.
	ownID string

	gate *gate // that it came through, nil: through none
	lane *lane

	question question          // what is asked
	decision verifier.Decision // and what was decided
	report   report            // what is reported
	in       []byte            // the request's body
	batch    [][]byte          // the questions, or the reports, in it
	reader   strictjson.Reader

	status int    // of the answer
	code   string // for the log
	told   string // the error's text
	// sent is the status that is really sent, where that is another one; 0: it is not.
	sent        int
	contentType string // empty: there is no body
	out         []byte // the body
	header      header
	identified  bool     // the header tells whose key it is
	sorted      []string // for whatever must be put in order
}

const (
	typeJSON = "application/json"
	typeText = "text/plain; charset=utf-8"
)

// What an exchange may keep for the next, in bytes and in entries: enough for nearly all.
const (
	maxKeptBytes = 16 << 10
	maxKeptTexts = 64
)

var exchanges = sync.Pool{New: func() any { return &exchange{} }}

func newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	x := exchanges.Get().(*exchange)
	x.Request, x.writer = r, w
	x.requestID = presented.RequestID(first(r.Header[headerRequestID]))
	return x
}

const headerRequestID = "X-Request-Id"

// bears gives the request another ID where the one that it came with has its key in it.
func (x *exchange) bears(key string) { x.requestID = presented.RequestIDBeside(x.requestID, key) }

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// release hands the memory on. The exchange must not be used any more.
func (x *exchange) release() {
	clear(x.in)
	clear(x.batch)
	x.reader.Reset(nil)
	x.question.reset()
	x.header.reset()
	clear(x.sorted)
	*x = exchange{
		ownID: x.ownID, question: x.question, reader: x.reader, header: x.header,
		in: kept(x.in, maxKeptBytes), batch: x.batch[:0], out: kept(x.out, maxKeptBytes), sorted: kept(x.sorted, maxKeptTexts),
	}
	exchanges.Put(x)
}

// kept is memory to be used again, unless there is too much of it.
func kept[T any](memory []T, most int) []T {
	if cap(memory) > most {
		return nil
	}
	return memory[:0]
}

// write sends the answer.
func (x *exchange) write() {
	x.header.add(headerRequestID, x.requestID)
	x.header.add("Cache-Control", "no-store")
	if x.contentType != "" {
		x.header.add("Content-Type", x.contentType)
	}
	if len(x.out) > countedByServer {
		x.header.put("Content-Length", strconv.AppendInt(x.header.text, int64(len(x.out)), 10))
	}
	x.header.write(x.writer.Header())
	if x.sent == 0 {
		x.sent = x.status
	}
	x.writer.WriteHeader(x.sent)
	if len(x.out) > 0 {
		x.writer.Write(x.out) //nolint:errcheck // the client has gone
	}
}

// countedByServer is the length of a body that net/http counts by itself, for less.
const countedByServer = 2 << 10

// text answers with words for whoever looks after the verifier.
func (x *exchange) text(status int, text string) {
	x.status, x.contentType = status, typeText
	x.out = append(x.out[:0], text...)
}
