package usagerecorder

import (
	"sync"
	"time"

	"github.com/claviger-dev/claviger/internal/usagejournal"
)

// backlog are the batches that wait to be stored, in order. The keeper adds at the end, the storer takes from the
// beginning.
type backlog struct {
	mu    sync.Mutex
	items []waiting
	busy  int // so many from the beginning are being stored
	rows  int // in memory
	// more has one when something was added, crowded when there is much of it.
	more, crowded chan struct{}
}

func newBacklog() backlog {
	return backlog{more: make(chan struct{}, 1), crowded: make(chan struct{}, 1)}
}

// begin takes over what earlier processes left in the journal.
func (l *backlog) begin(left []usagejournal.Place, now time.Time) {
	for _, place := range left {
		l.items = append(l.items, waiting{writer: place.Writer, first: place.Number, last: place.Number, sealed: true, since: now})
	}
	if len(left) > 0 {
		l.signal()
	}
}

func (l *backlog) signal() {
	select {
	case l.more <- struct{}{}:
	default:
	}
	if l.rows <= maxInMemory/2 && len(l.items) <= l.busy+1 {
		return
	}
	select {
	case l.crowded <- struct{}{}:
	default:
	}
}

// What is stored at once: rows, for a transaction of a second or so, and batches, as those that are in the journal
// alone show their size only when they are read.
const (
	maxAtOnce  = 1 << 17
	maxBatches = 16
)

// first are the batches to store next, all of one writer. They stay at the beginning until done.
func (l *backlog) first() []waiting {
	l.mu.Lock()
	defer l.mu.Unlock()
	rows := 0
	for l.busy = 0; l.busy < len(l.items); l.busy++ {
		w := &l.items[l.busy]
		rows += w.rows
		if l.busy == maxBatches || l.busy > 0 && (rows > maxAtOnce || w.writer != l.items[0].writer) {
			break
		}
	}
	return l.items[:l.busy:l.busy]
}

// split makes of the first n, which are being stored, one for each of their numbers, to be read from the journal. Those
// that are in memory alone stay as they are. Returned is how many there are then.
func (l *backlog) split(n int) (parts int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var items []waiting
	for _, w := range l.items[:n] {
		if !w.sealed {
			items = append(items, w)
			continue
		}
		for number := w.first; number <= w.last; number++ {
			part := waiting{writer: w.writer, first: number, last: number, sealed: true, since: w.since}
			if number == w.last {
				part.events = w.events // as nobody knows how they are spread
			}
			items = append(items, part)
		}
		l.rows -= w.rows
	}
	l.items, l.busy = append(items, l.items[n:]...), 0
	return len(items)
}

// done takes out the first ones, which are stored, and says how many events were in them.
func (l *backlog) done(n int) (events int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.items[:n] {
		events += l.items[i].events
		l.rows -= l.items[i].rows
		l.items[i].batch = nil
	}
	l.items, l.busy = l.items[n:], 0
	return events
}

// pending is how many events wait, and since when the oldest does; zero: none does.
func (l *backlog) pending() (events int64, since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.items {
		events += l.items[i].events
	}
	if len(l.items) > 0 {
		since = l.items[0].since
	}
	return events, since
}

// unsealed is how many events wait in memory alone.
func (l *backlog) unsealed() (events int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.items {
		if !l.items[i].sealed {
			events += l.items[i].events
		}
	}
	return events
}

func (l *backlog) length() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.items)
}
