package usagerecorder

import (
	"slices"
	"time"

	"github.com/claviger-dev/claviger/internal/usagejournal"
)

// Name is who writes into the journal: no other process has it, nor an earlier one at the same place.
func (r *Recorder) Name() string { return r.journal.Writer() }

// Continues are the names of earlier processes which left something in the journal, that this one stores. What it
// has not stored of theirs holds CountedUntil back.
func (r *Recorder) Continues() []string { return r.continues }

// CountedUntil is a moment before which everything is stored that was recorded. It is zero while something waits
// that an earlier process left: nobody knows from when that is.
func (r *Recorder) CountedUntil() time.Time {
	// First of all, so that what comes into the backlog meanwhile is seen twice rather than never.
	until := r.reachedAt()
	writer, since := r.backlog.oldest()
	switch {
	case writer == "":
	case writer != r.journal.Writer():
		return time.Time{}
	case since.Before(until):
		until = since
	}
	return until.Add(-onTheWay)
}

// reachedUntil notes that all that was recorded before a moment has come into the backlog.
func (r *Recorder) reachedUntil(moment time.Time) { r.reached.Store(moment.UnixNano()) }

func (r *Recorder) reachedAt() time.Time { return time.Unix(0, r.reached.Load()).UTC() }

// oldest says whose batch is to be stored next, and since when it waits; empty: none does.
func (l *backlog) oldest() (writer string, since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.items) == 0 {
		return "", time.Time{}
	}
	return l.items[0].writer, l.items[0].since
}

// writersOf are those of some batches, each once.
func writersOf(places []usagejournal.Place) (writers []string) {
	for _, place := range places {
		if !slices.Contains(writers, place.Writer) {
			writers = append(writers, place.Writer)
		}
	}
	return writers
}
