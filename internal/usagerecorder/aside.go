package usagerecorder

import (
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagejournal"
)

// read reads a batch from the journal. Of its reports nobody has seen yet how many combinations they are.
func (s *storer) read(w *waiting) (*usage.Batch, error) {
	b, err := s.journal.Read(usagejournal.Place{Writer: w.writer, Number: w.first})
	if err != nil {
		return nil, err
	}
	for i := range b.Reports {
		s.bounds.hold(&b.Reports[i])
	}
	return b, nil
}

// refused goes on where the store will never take a batch in: the one that is at fault is put aside, once it is known.
func (s *storer) refused(batches []waiting, reason error) error {
	if len(batches) > 1 || batches[0].first < batches[0].last {
		if n := s.backlog.split(len(batches)); n > 1 {
			s.alone = n
			return nil
		}
	}
	if err := s.putAside(&batches[0], reason); err != nil {
		return err
	}
	s.alone = max(s.alone-1, 0)
	s.backlog.done(1)
	return nil
}

// putAside goes on without some files of a batch, or all.
func (s *storer) putAside(w *waiting, reason error, files ...string) error {
	dir, err := s.journal.PutAside(usagejournal.Place{Writer: w.writer, Number: w.first}, files...)
	if err != nil {
		return err
	}
	s.log.Error(reason, "Some usage in the journal cannot be read or stored, and is left out; to have the next start try it again, as with the version of Claviger that wrote it, take the ending .aside away", "directory", dir)
	s.metrics.journalFailures.Inc()
	return nil
}
