// Package usagejournal keeps on disk what was counted and is not in the store of usage yet. It outlives the
// process and not the machine: nothing is synced, as a disk that must sync holds up whoever reports.
//
// Each run of a verifier is a writer of its own, with a directory of its own in the journal's. A batch with the
// number 7 is two files in there: 7.reports, to which outcomes are appended as they are reported, before that is
// acknowledged; and 7.batch, which is written once what else was counted meanwhile is complete.
package usagejournal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/claviger-dev/claviger/internal/usage"
)

const lockName = "journal.lock"

// Journal is an open journal. Report and Cut may be called from any goroutine, the rest from one.
type Journal struct {
	dir    string
	lock   *os.File
	writer string
	bytes  atomic.Int64
	sealed *wire // memory to be used again

	mu     sync.Mutex
	number int64 // of the batch that is open
	// reports are those of the open batch, and incomplete says that not all of them are in the file.
	reports    []usage.Event
	incomplete bool
	file       *os.File // of the reports; nil: there is none yet
	size       int64    // of the file, as far as it is whole
	frame      []byte   // memory to be used again
}

// Open makes the directory if it is missing and begins to write as a new writer. The error says what to do about it.
func Open(dir string) (*Journal, error) {
	j := &Journal{dir: dir, writer: rand.Text(), number: 1}
	if err := os.MkdirAll(j.path(), 0o700); err != nil {
		return nil, fmt.Errorf("the journal of usage %s cannot be made: the folder must be writable for the verifier's user, or name another one with --usage-journal: %w", dir, err)
	}
	if err := j.own(); err != nil {
		os.Remove(j.path()) //nolint:errcheck // it is empty
		return nil, err
	}
	j.bytes.Store(j.measure())
	return j, nil
}

// own makes sure that no other process stores what is left in here.
func (j *Journal) own() (err error) {
	if j.lock, err = os.OpenFile(filepath.Join(j.dir, lockName), os.O_RDONLY|os.O_CREATE, 0o600); err != nil {
		return fmt.Errorf("the journal of usage %s cannot be locked: %w", j.dir, err)
	}
	err = syscall.Flock(int(j.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = fmt.Errorf("the journal of usage %s is another verifier's: each needs one of its own, named with --usage-journal", j.dir)
	case err != nil:
		err = fmt.Errorf("the journal of usage %s cannot be locked: %w", j.dir, err)
	}
	if err != nil {
		j.lock.Close() //nolint:errcheck // nothing was written
	}
	return err
}

// Writer is who writes.
func (j *Journal) Writer() string { return j.writer }

// Bytes is how large the journal is.
func (j *Journal) Bytes() int64 { return j.bytes.Load() }

// Close lets another process have the journal. What is in it stays.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closeReports()
	os.Remove(j.path()) //nolint:errcheck // which it can only where it is empty
	return j.lock.Close()
}

func (j *Journal) path() string { return filepath.Join(j.dir, j.writer) }

// Report adds an outcome to the open batch. An error means that it is in memory alone, until the batch is sealed.
func (j *Journal) Report(e *usage.Event) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reports = append(j.reports, *e)
	err := j.append(e)
	if err != nil {
		j.incomplete = true
	}
	return err
}

// begin makes the file of the open batch's reports.
func (j *Journal) begin() error {
	file, err := os.OpenFile(j.reportsFile(Place{j.writer, j.number}), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := file.Write(reportsMagic); err != nil {
		file.Close()           //nolint:errcheck // there is nothing in it
		os.Remove(file.Name()) //nolint:errcheck // likewise
		return err
	}
	j.file, j.size = file, int64(len(reportsMagic))
	j.bytes.Add(j.size)
	return nil
}

func (j *Journal) append(e *usage.Event) (err error) {
	if j.file == nil {
		if err := j.begin(); err != nil {
			return err
		}
	}
	w := writer(append(j.frame[:0], make([]byte, frameHead)...))
	event(w, e)
	j.frame = sealFrame(w.out)
	if _, err := j.file.WriteAt(j.frame, j.size); err != nil {
		j.file.Truncate(j.size) //nolint:errcheck // what is cut off is not read, nor what follows
		return err
	}
	j.size += int64(len(j.frame))
	j.bytes.Add(int64(len(j.frame)))
	return nil
}

// Reported says whether there are reports in the open batch.
func (j *Journal) Reported() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.reports) > 0
}

// Cut ends the open batch and begins the next one: b gets the number and the reports. Whole says that the reports
// are on disk.
func (j *Journal) Cut(b *usage.Batch) (whole bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	b.Writer, b.First, b.Last, b.Reports = j.writer, j.number, j.number, j.reports
	whole = !j.incomplete
	j.closeReports()
	j.number++
	j.reports, j.incomplete = nil, false
	return whole
}

func (j *Journal) closeReports() {
	if j.file != nil {
		j.file.Close() //nolint:errcheck // what was written was
		j.file = nil
	}
}
