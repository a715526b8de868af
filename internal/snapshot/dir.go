// Package snapshot keeps on disk what a verifier knows, so that one that is started while the API
// server is away can answer.
//
// A snapshot that is not perfectly in order is not used at all, and there is no going back to
// an older one: a key that was revoked since would work again. Then the verifier waits for the API server.
package snapshot

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	snapshotName = "snapshot"
	floorName    = "snapshot.floor"
	lockName     = "snapshot.lock"
	refusedName  = "snapshot.refused"
	newSuffix    = ".new"
)

// ErrNone is that there is no snapshot.
var ErrNone = errors.New("there is no snapshot")

// Dir is the directory of one verifier's snapshots. Its methods must not be called at the same time.
type Dir struct {
	path   string
	origin [sha256.Size]byte
	lock   *os.File
	last   floor  // what the floor is
	used   uint64 // the highest sequence number that a snapshot was given, perhaps in vain
}

// Open takes a directory, which is made where it is missing, for one verifier alone. The origin names the
// cluster; a snapshot of another one is refused.
func Open(path, origin string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("the directory for snapshots cannot be made: %w", err)
	}
	// Read-only, so that it is there to read from even when the disk cannot be written any more.
	lock, err := os.OpenFile(filepath.Join(path, lockName), os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the directory for snapshots cannot be used: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close() //nolint:errcheck // nothing was written
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another verifier keeps its snapshots in %s: give each a directory of its own", path)
		}
		return nil, fmt.Errorf("the directory for snapshots %s cannot be locked: %w", path, err)
	}
	return &Dir{path: path, origin: sha256.Sum256([]byte(origin)), lock: lock}, nil
}

// Close lets another verifier have the directory.
func (d *Dir) Close() error { return d.lock.Close() }

func (d *Dir) file(name string) string { return filepath.Join(d.path, name) }

// Load hands the content of the snapshot to decode, and returns when the API server was last heard of
// at the time. What decode made must be used only if there is no error. ErrNone: there is nothing to load.
// Any other error says why the snapshot is refused; one that is damaged is put aside for whoever wants to look at it.
func (d *Dir) Load(decode func(io.Reader) error) (contact time.Time, err error) {
	floor, exists, floorErr := readFloor(d.file(floorName))
	d.last, d.used = floor, floor.sequence
	file, err := os.Open(d.file(snapshotName))
	if errors.Is(err, os.ErrNotExist) {
		return time.Time{}, ErrNone
	}
	if err != nil {
		return time.Time{}, d.refuse(err)
	}
	defer file.Close() //nolint:errcheck // only read from
	h, err := d.read(file, decode)
	if err == nil {
		d.used = max(d.used, h.Sequence)
	}
	switch {
	case err != nil:
	case floorErr != nil:
		err = fmt.Errorf("whether there was a newer one cannot be told, because %s cannot be used: %w", floorName, floorErr)
	case !exists && h.Sequence > 1: // the first may be there before the floor
		err = fmt.Errorf("whether there was a newer one cannot be told, because %s is gone", floorName)
	case h.Sequence < floor.sequence:
		err = fmt.Errorf("it is number %d, and there was a number %d", h.Sequence, floor.sequence)
	}
	if err != nil {
		return time.Time{}, d.refuse(err)
	}
	if h.Sequence > floor.sequence { // the process ended between writing the one and the other
		d.last.sequence, d.last.contact = h.Sequence, h.contact()
	}
	return d.last.contact, nil
}

func (d *Dir) read(file *os.File, payload func(io.Reader) error) (header, error) {
	info, err := file.Stat()
	if err != nil {
		return header{}, err
	}
	if !info.Mode().IsRegular() {
		return header{}, errors.New("it is no file")
	}
	h, err := check(file, info.Size())
	if err != nil {
		return h, err
	}
	if h.Origin != d.origin {
		return h, errors.New("it is of another cluster or namespace")
	}
	return h, decode(file, info.Size(), payload)
}

// refuse says what happens next. Only what is damaged is put aside: a wrong flag, an older program or too many open
// files must not cost the next start its snapshot.
func (d *Dir) refuse(reason error) error {
	path := d.file(snapshotName)
	refusal := fmt.Errorf("the snapshot %s is not used, and the verifier waits for the API server: %w", path, reason)
	if damaged := damage(""); !errors.As(reason, &damaged) {
		return fmt.Errorf("%w (it is left where it is until the next one is written)", refusal)
	}
	if err := os.Rename(path, d.file(refusedName)); err != nil {
		return fmt.Errorf("%w (and it cannot be put aside: %w)", refusal, err)
	}
	return fmt.Errorf("%w (it is kept as %s)", refusal, refusedName)
}

// Write replaces the snapshot by what encode writes, and returns its size in bytes. The API server was last
// heard of at contact, not later than encode began. A crash at any point leaves the old one or the new one.
func (d *Dir) Write(contact time.Time, payload func(io.Writer) error) (size int64, err error) {
	if d.used >= math.MaxUint64-1 {
		return 0, errors.New("there are no more sequence numbers: delete the directory's content")
	}
	d.used++
	h := header{magic, version, d.used, contact.UnixNano(), d.origin}
	err = d.replace(snapshotName, func(w io.Writer) error {
		size, err = encode(w, h, payload)
		return err
	})
	if err != nil {
		return 0, err
	}
	return size, d.replaceFloor(floor{d.used, contact})
}

// Touch takes note that the API server was heard of and what was last written, without error, is still true.
func (d *Dir) Touch(contact time.Time) error {
	return d.replaceFloor(floor{d.last.sequence, contact})
}

func (d *Dir) replaceFloor(f floor) error {
	err := d.replace(floorName, func(w io.Writer) error {
		_, err := io.WriteString(w, f.text())
		return err
	})
	if err == nil {
		d.last = f
	}
	return err
}

// replace writes a file under another name and gives it its own only when it is on the disk.
func (d *Dir) replace(name string, write func(io.Writer) error) (err error) {
	temporary := d.file(name + newSuffix)
	file, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = write(file)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(temporary, d.file(name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return d.sync()
}

// sync makes what was renamed last.
func (d *Dir) sync() error {
	directory, err := os.Open(d.path)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}
