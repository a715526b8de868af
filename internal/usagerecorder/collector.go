package usagerecorder

import (
	"time"

	"github.com/claviger-dev/claviger/internal/usage"
)

// collector is the state of the one goroutine that counts.
type collector struct {
	recorder *Recorder
	batch    *usage.Batch       // of what came since the last flush
	events   int64              // in it
	hold     func(*usage.Event) // within bounds
	due      bool               // the time for a flush has come
	handed   bool               // a batch is being taken over
	drained  time.Time          // what was recorded before is counted
	cutUntil time.Time          // what was recorded before is in batches that are complete
}

func newCollector(r *Recorder) *collector {
	b := newBounds()
	return &collector{recorder: r, batch: usage.NewBatch("", 0), hold: b.hold}
}

// drain counts all that is queued, and says whether there was anything.
func (c *collector) drain() bool { return c.recorder.queue.drain(c.count) }

func (c *collector) count(e *usage.Event) {
	c.batch.Add(e, c.hold)
	c.events++
}

// flushIfDue hands over what was counted. While that takes its time the counting goes on, and the next flush
// follows at once.
func (c *collector) flushIfDue() {
	if !c.due || c.handed {
		return
	}
	c.due = false
	b := c.cut()
	if b == nil {
		c.recorder.reachedUntil(c.drained) // there is nothing that would have to come there
		return
	}
	c.handed, c.cutUntil = true, c.drained
	c.recorder.cut <- *b
}

// counted is a batch that is complete.
type counted struct {
	*usage.Batch
	events int64
	whole  bool      // its reports are on disk
	at     time.Time // a moment before what is in it was recorded
}

// cut ends the batch, if there is anything in it.
func (c *collector) cut() *counted {
	r := c.recorder
	if c.batch.Rollup.Empty() && !r.journal.Reported() {
		return nil
	}
	b := &counted{Batch: c.batch, at: r.reachedAt()}
	b.whole = r.journal.Cut(c.batch)
	b.events = c.events + int64(len(b.Reports))
	for i := range c.batch.Reports {
		c.hold(&c.batch.Reports[i])
	}
	c.batch, c.events = usage.NewBatch("", 0), 0
	return b
}
