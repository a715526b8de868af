package usagerecorder

import (
	"time"

	"github.com/claviger-dev/claviger/internal/usage"
)

// collector is the state of the one goroutine that counts.
type collector struct {
	recorder *Recorder
	batch    *usage.Batch       // of what came since the last flush
	hold     func(*usage.Event) // within bounds
	due      bool               // the time for a flush has come
	handed   bool               // a batch is being taken over
}

func newCollector(r *Recorder) *collector {
	b := newBounds()
	return &collector{recorder: r, batch: usage.NewBatch("", 0), hold: b.hold}
}

// drain counts all that is queued, and says whether there was anything.
func (c *collector) drain() bool { return c.recorder.queue.drain(c.count) }

func (c *collector) count(e *usage.Event) { c.batch.Add(e, c.hold) }

// flushIfDue hands over what was counted. While that takes its time the counting goes on, and the next flush
// follows at once.
func (c *collector) flushIfDue() {
	if !c.due || c.handed {
		return
	}
	c.due = false
	if b := c.cut(); b != nil {
		c.handed = true
		c.recorder.cut <- *b
	}
}

// counted is a batch that is complete.
type counted struct {
	*usage.Batch
	whole bool // its reports are on disk
	at    time.Time
}

// cut ends the batch, if there is anything in it.
func (c *collector) cut() *counted {
	r := c.recorder
	if c.batch.Rollup.Empty() && !r.journal.Reported() {
		return nil
	}
	b := &counted{Batch: c.batch, at: r.clock.Now()}
	b.whole = r.journal.Cut(c.batch)
	for i := range c.batch.Reports {
		c.hold(&c.batch.Reports[i])
	}
	c.batch = usage.NewBatch("", 0)
	return b
}
