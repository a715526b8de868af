package usagejournal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Damaged is a file that is not as it was written, or that another version of Claviger wrote.
type Damaged struct {
	File string
	Err  error
}

// Error implements error.
func (d *Damaged) Error() string { return fmt.Sprintf("%s: %v", d.File, d.Err) }

// Unwrap is why.
func (d *Damaged) Unwrap() error { return d.Err }

var (
	errVersion = errors.New("it was written by another version of Claviger")
	errTooLong = errors.New("there is more in it than should be")
)

const asideSuffix = ".aside"

// PutAside keeps files of a batch from being tried again: those that are named, or all there are. Somebody may be able to
// make something of them. They are in a directory of their own, as if another writer had left them, so that nobody takes
// them for stored: once the ending of its name is taken away, the next start tries them again.
func (j *Journal) PutAside(p Place, files ...string) (dir string, err error) {
	if len(files) == 0 {
		files = []string{j.reportsFile(p), j.batchFile(p)}
	}
	dir = fmt.Sprintf("%s-%d%s", filepath.Join(j.dir, p.Writer), p.Number, asideSuffix)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return dir, err
	}
	for _, file := range files {
		err := os.Rename(file, filepath.Join(dir, filepath.Base(file)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return dir, err
		}
	}
	return dir, nil
}
