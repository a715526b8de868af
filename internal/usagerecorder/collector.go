package usagerecorder

import (
	"github.com/claviger-dev/claviger/internal/usage"
)

// collector is the state of the one goroutine that counts.
type collector struct {
	recorder *Recorder
	tallies  tallies // of what came since the last flush
	counts   *usage.Rollup
	due      bool // the time for a flush has come
	inFlight bool
	failing  bool // the last flush failed
}

// drain counts all that is queued, and says whether there was anything.
func (c *collector) drain() bool {
	return c.recorder.queue.drain(func(e *usage.Event) { c.tallies.add(e, c.counts) })
}

// flushIfDue starts a flush. One that comes due while another is in flight follows at once
// when that has landed.
func (c *collector) flushIfDue() {
	if !c.due || c.inFlight {
		return
	}
	c.due = false
	c.tallies.settle(c.counts)
	if c.counts.Empty() {
		return
	}
	c.inFlight = true
	rollup, r := c.counts, c.recorder
	c.counts = usage.NewRollup()
	go func() { r.flushed <- r.flush(r.context, rollup) }()
}

// landed takes back what could not be stored, to try again with the next flush.
func (c *collector) landed(flushed result) {
	c.inFlight = false
	if flushed.err != nil {
		flushed.rollup.Merge(c.counts)
		c.counts = flushed.rollup
	}
	// An outage is told once when it begins and once when it ends.
	switch log := c.recorder.log; {
	case flushed.err != nil && !c.failing:
		log.Error(flushed.err, "Usage cannot be stored; it is kept in memory and tried again until it can")
	case flushed.err == nil && c.failing:
		log.Info("Usage is stored again")
	}
	c.failing = flushed.err != nil
}

// finish takes all that is still queued or in flight and returns what is not stored.
func (c *collector) finish() *usage.Rollup {
	for c.drain() {
	}
	c.tallies.settle(c.counts)
	if c.inFlight {
		c.landed(<-c.recorder.flushed)
	}
	return c.counts
}
