package usagerecorder

import (
	"errors"
	"time"

	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagejournal"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

// What the store is given before it is asked again, doubled with each failure.
const (
	firstRetry   = 200 * time.Millisecond
	slowestRetry = 5 * time.Second
)

// Storing takes a processor for one part of the time in restParts, unless more waits than is kept in memory: the more keys are
// in use the longer it takes, and the requests need the processors. What waits longer is mostly of the same series, and so is
// stored for little more. It is in the journal meanwhile, and nothing waits for longer than LongestRest.
const (
	restParts   = 50
	LongestRest = 20 * time.Second
)

// storeAll stores whatever waits, until there is no more to come. Once it is to end, it tries no failure again:
// what is left is in the journal.
func (r *Recorder) storeAll() {
	s := storer{Recorder: r, bounds: newBounds()}
	for {
		first := r.backlog.first()
		if len(first) == 0 {
			if !s.wait(nil) {
				return
			}
			continue
		}
		begin := r.clock.Now()
		err := s.store(first)
		s.tell(err)
		switch {
		case err == nil:
			s.rest(min(restParts*r.clock.Since(begin), LongestRest))
		case s.ending || !s.wait(r.clock.After(s.pause())):
			return
		}
	}
}

type storer struct {
	*Recorder
	failures int     // in a row
	ending   bool    // there will be no more batches
	asked    bool    // whether the first batch is stored must be asked
	alone    int     // so many of the first ones are to be stored one by one
	bounds   *bounds // of reports that are read from the journal
}

// wait waits for more, or for a time where one is given; false: there will be no more.
func (s *storer) wait(pause <-chan time.Time) bool {
	more, ending := s.backlog.more, s.Recorder.ending
	if pause != nil {
		more = nil
	}
	if s.ending {
		return false
	}
	select {
	case <-more:
	case <-pause:
	case <-ending:
		s.ending = true // and what is there is tried once more
	}
	return true
}

// rest lets batches come together.
func (s *storer) rest(length time.Duration) {
	if s.ending || length <= 0 {
		return
	}
	select {
	case <-s.clock.After(length):
	case <-s.backlog.crowded:
	case <-s.Recorder.ending:
	}
}

func (s *storer) pause() time.Duration { return min(firstRetry<<min(s.failures-1, 6), slowestRetry) }

// store has the first batches stored, or finds that they were before.
func (s *storer) store(first []waiting) error {
	if s.asked || first[0].writer != s.journal.Writer() {
		// It may be that the store took them, and only its answer was lost; or that whoever was killed could not
		// remove them any more.
		stored, err := s.Recorder.store.Stored(s.context, first[0].writer)
		if err != nil {
			return err
		}
		n := 0
		for n < len(first) && first[n].last <= stored {
			n++
		}
		if s.asked = false; n > 0 {
			s.finished(first[:n])
			return nil
		}
	}
	b, n, err := s.merge(first)
	if err != nil || n == 0 {
		return err
	}
	start := s.clock.Now()
	err = s.Recorder.store.Add(s.context, b)
	s.metrics.seconds.Observe(s.clock.Since(start).Seconds())
	switch {
	case errors.Is(err, usagestore.ErrUnstorable):
		return s.refused(first[:n], err)
	case err != nil:
		s.asked = true
		return err
	}
	s.finished(first[:n])
	return nil
}

// merge makes one batch of the first n. None and no error: part of the first cannot be read, and was put aside.
func (s *storer) merge(first []waiting) (all *usage.Batch, n int, err error) {
	if s.alone > 0 {
		first = first[:1]
	}
	for i := range first {
		b := first[i].batch
		if b == nil {
			if b, err = s.read(&first[i]); err != nil {
				break
			}
		}
		switch {
		case len(first) == 1:
			return b, 1, nil
		case all == nil:
			all = usage.NewBatch(b.Writer, b.First)
		}
		all.Merge(b)
		if n++; rowsOf(all) > maxAtOnce {
			break
		}
	}
	if n > 0 {
		return all, n, nil // and the turn of what cannot be read comes later
	}
	var damaged *usagejournal.Damaged
	if !errors.As(err, &damaged) {
		return nil, 0, err
	}
	// What else there is of the batch is stored the next time.
	return nil, 0, s.putAside(&first[0], err, damaged.File)
}

// finished forgets what is stored.
func (s *storer) finished(stored []waiting) {
	s.alone = max(s.alone-len(stored), 0)
	for i := range stored {
		// What cannot be removed is not stored again when it is found at the next start.
		for number := stored[i].first; number <= stored[i].last; number++ {
			s.journal.Remove(usagejournal.Place{Writer: stored[i].writer, Number: number}) //nolint:errcheck // as said
		}
	}
	s.metrics.stored.Add(float64(s.backlog.done(len(stored))))
}

// tell tells of an outage once when it begins and once when it ends.
func (s *storer) tell(err error) {
	switch {
	case s.context.Err() != nil:
		s.failures++
	case err != nil:
		s.metrics.failures.Inc()
		if s.failures++; s.failures == 1 {
			s.log.Error(err, "Usage cannot be stored; it waits in the journal and is tried again until it can")
		}
	case s.failures > 0:
		s.failures = 0
		s.log.Info("Usage is stored again")
	}
}
