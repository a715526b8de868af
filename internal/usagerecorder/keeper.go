package usagerecorder

import (
	"time"

	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagejournal"
)

// What may wait in memory, in rows: some ten to a hundred megabytes. The rest is read from the journal again.
const maxInMemory = 1 << 17

// keep writes batches into the journal and hands them on to be stored.
func (r *Recorder) keep() {
	defer close(r.ending)
	for failing := false; ; {
		b, ok := <-r.cut
		if !ok {
			return
		}
		err := r.journal.Seal(b.Batch, b.whole)
		// Trouble is told once when it begins and once when it ends.
		switch {
		case err != nil && !failing:
			r.log.Error(err, "Usage cannot be written into its journal, and waits in memory: make room on the disk of --usage-journal")
		case err == nil && failing:
			r.log.Info("Usage is written into its journal again")
		}
		if failing = err != nil; failing {
			r.metrics.journalFailures.Inc()
		}
		events := b.Events()
		r.metrics.linesDropped.Add(float64(r.backlog.add(&b, err == nil)))
		r.metrics.events.Add(float64(events))
		select {
		case r.kept <- struct{}{}:
		default: // nobody waits for it any more
		}
	}
}

// waiting is a batch that is not stored yet.
type waiting struct {
	place  usagejournal.Place
	batch  *usage.Batch // nil: it is in the journal alone
	sealed bool         // it is in the journal
	events int64
	rows   int
	since  time.Time
}

// add appends a batch. Of one that is not sealed, when there is too much in memory already, the lines for the log
// are given up, and returned is how many: the counts take much less.
func (l *backlog) add(b *counted, sealed bool) (linesDropped int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.signal()
	rows := rowsOf(b.Batch)
	w := waiting{usagejournal.Place{Writer: b.Writer, Number: b.Last}, b.Batch, sealed, b.Events(), rows, b.at}
	if l.rows+rows > maxInMemory {
		if sealed {
			w.batch, w.rows = nil, 0
		} else {
			linesDropped = len(b.Lines)
			if l.squeeze(b) {
				return linesDropped
			}
			w.rows = rowsOf(b.Batch)
		}
	}
	l.rows += w.rows
	l.items = append(l.items, w)
	return linesDropped
}

// squeeze makes a batch as small as can be, and puts it into the one before where that is not being stored.
func (l *backlog) squeeze(b *counted) (merged bool) {
	rollup, _ := b.Settle(func(int) bool { return true }) // to tell what is reported twice they would have to be kept
	b.Rollup, b.Reports, b.Lines = rollup, nil, nil
	if len(l.items) <= max(1, l.busy) {
		return false
	}
	last := &l.items[len(l.items)-1]
	if last.sealed || last.place.Writer != b.Writer {
		return false
	}
	l.rows -= last.rows
	last.batch.Merge(b.Batch)
	last.place.Number, last.events, last.rows = b.Last, last.events+b.Events(), rowsOf(last.batch)
	l.rows += last.rows
	return true
}

func rowsOf(b *usage.Batch) int { return len(b.Rollup.Buckets) + len(b.Lines) + len(b.Reports) }
