package usagerecorder

import (
	"time"

	"github.com/claviger-dev/claviger/internal/usage"
)

// What may wait in memory, in rows: some hundred megabytes. The rest is read from the journal again.
const maxInMemory = 1 << 18

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
		r.metrics.linesDropped.Add(float64(r.backlog.add(&b, err == nil)))
		r.metrics.events.Add(float64(b.events))
		select {
		case r.kept <- struct{}{}:
		default: // nobody waits for it any more
		}
	}
}

// waiting are batches in a row that are not stored yet, as one.
type waiting struct {
	writer      string
	first, last int64        // their numbers
	batch       *usage.Batch // nil: it is in the journal alone
	sealed      bool         // it is in the journal
	events      int64
	rows        int
	since       time.Time
}

// add appends a batch. Of one that is not sealed, when there is too much in memory already, the lines for the log
// are given up, and returned is how many: the counts take much less.
func (l *backlog) add(b *counted, sealed bool) (linesDropped int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.signal()
	w := waiting{b.Writer, b.First, b.Last, b.Batch, sealed, b.events, rowsOf(b.Batch), b.at}
	if l.rows+w.rows > maxInMemory {
		if sealed {
			w.batch, w.rows = nil, 0
		} else {
			linesDropped = len(b.Lines)
			squeeze(b.Batch)
			w.rows = rowsOf(b.Batch)
		}
	}
	if !l.join(&w) {
		l.items = append(l.items, w)
		l.rows += w.rows
	}
	return linesDropped
}

// join puts a batch into the one before, where that is not being stored: most of it is of the same series.
func (l *backlog) join(w *waiting) bool {
	if len(l.items) <= l.busy || w.batch == nil {
		return false
	}
	last := &l.items[len(l.items)-1]
	if last.batch == nil || last.sealed != w.sealed || last.writer != w.writer || last.rows > maxAtOnce {
		return false
	}
	rows := last.batch.Absorb(w.batch)
	last.last, last.events, last.rows = w.last, last.events+w.events, last.rows+rows
	l.rows += rows
	return true
}

// squeeze makes a batch as small as can be. To tell what is reported twice the reports would have to be kept.
func squeeze(b *usage.Batch) {
	rollup, _ := b.Settle(func(int) bool { return true })
	b.Rollup, b.Reports, b.Lines = rollup, nil, nil
}

func rowsOf(b *usage.Batch) int { return b.Rollup.Lines() + len(b.Lines) + len(b.Reports) }
