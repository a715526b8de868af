package valkey

import (
	"strconv"
	"sync"
	"time"

	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/limitstore"
)

// entry is what the script is asked about one counter.
type entry struct {
	counter limitstore.Counter
	rule    *limit.Rule
	seed    uint64 // a word
	group   int
	asks    bool  // for amount
	amount  int64 // all of it or nothing
	used    int64 // whether or not it fits
	epoch   int64 // of what is given back; when debts are settled the number of this one
	want    int64 // as much as there is
	id      string
}

// verdict is what it answers.
type verdict struct {
	allowed bool
	granted int64
	a, b    int64 // see script/call.lua
}

// call is one question about several counters. It is used again, so that asking costs few
// allocations.
type call struct {
	entries  []entry
	settles  string // whose debts are settled: a verifier's
	verdicts []verdict
	server   int64 // the time by the server's clock, in microseconds since 1970

	text []byte
	ends []int // of each word in text
	keys []string
	args []string
}

var calls = sync.Pool{New: func() any { return new(call) }}

func newCall() *call { return calls.Get().(*call) }

func (c *call) free() {
	clear(c.entries)
	clear(c.keys)
	clear(c.args)
	c.settles = ""
	c.entries, c.verdicts = c.entries[:0], c.verdicts[:0]
	calls.Put(c)
}

// So many words for each counter, and so many numbers in each verdict: see script/call.lua.
const (
	stride  = 13
	numbers = 4
)

// write makes the keys and the arguments, all of them parts of one string. It is a new one each time, because the client
// library may hold it for longer than its answer takes.
func (c *call) write(now time.Time, clock func() time.Time) {
	c.text, c.ends, c.keys, c.args = c.text[:0], c.ends[:0], c.keys[:0], c.args[:0]
	for i := range c.entries {
		c.text = appendKey(c.text, c.entries[i].counter)
		c.end()
	}
	if c.settles != "" {
		c.text = appendSettledKey(c.text, c.entries[0].counter.Tag, c.settles)
		c.end()
	}
	keys := len(c.ends)
	if clock != nil {
		c.text = strconv.AppendInt(c.text, clock().UnixMicro(), 10)
	}
	c.end()
	for i := range c.entries {
		c.writeEntry(&c.entries[i], now)
	}
	text, begin := string(c.text), 0
	for i, end := range c.ends {
		if i < keys {
			c.keys = append(c.keys, text[begin:end])
		} else {
			c.args = append(c.args, text[begin:end])
		}
		begin = end
	}
}

func (c *call) writeEntry(e *entry, now time.Time) {
	r := e.rule
	c.word("STQBC"[r.Kind : r.Kind+1])
	c.number(int64(e.group))
	c.number(r.Capacity())
	switch r.Kind {
	case limit.Tokens:
		c.number(interval(r))
		c.words(3)
	case limit.Quota, limit.Budget:
		period := r.Calendar.At(now)
		c.number(int64(period.EndDay))
		c.number(int64(r.Calendar.Day(now)))
		c.number(period.End.Sub(now).Milliseconds() + 1)
		c.word(r.Calendar.String())
	case limit.Concurrency:
		c.number(r.Per.Milliseconds())
		c.word(e.id)
		c.words(2)
	default:
		c.number(r.Per.Milliseconds())
		c.words(3)
	}
	if e.asks {
		c.number(e.amount)
	} else {
		c.end()
	}
	c.number(e.used)
	c.number(e.epoch)
	c.number(e.want)
	if a, b, ok := seedOf(r, now, e.seed); ok && r.Kind != limit.Concurrency {
		c.number(a)
		c.number(b)
	} else {
		c.words(2)
	}
}

func (c *call) end() { c.ends = append(c.ends, len(c.text)) }

func (c *call) word(text string) {
	c.text = append(c.text, text...)
	c.end()
}

func (c *call) number(n int64) {
	c.text = strconv.AppendInt(c.text, n, 10)
	c.end()
}

// words writes so many empty ones.
func (c *call) words(n int) {
	for range n {
		c.end()
	}
}
