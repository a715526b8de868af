package usagejournal

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/claviger-dev/claviger/internal/usage"
)

// Place is where a batch is.
type Place struct {
	Writer string
	Number int64
}

const (
	batchSuffix   = ".batch"
	reportsSuffix = ".reports"
	newSuffix     = ".new"
)

// The first bytes of each batch, which change with its form.
var magic = []byte("claviger usage 1\n")

func (j *Journal) batchFile(p Place) string   { return j.base(p) + batchSuffix }
func (j *Journal) reportsFile(p Place) string { return j.base(p) + reportsSuffix }
func (j *Journal) base(p Place) string {
	return filepath.Join(j.dir, p.Writer, strconv.FormatInt(p.Number, 10))
}

// Seal writes a batch that was cut. Unless all reports are on disk already, they are written with it.
func (j *Journal) Seal(b *usage.Batch, whole bool) error {
	w := writer(append(bytes.Clone(magic), make([]byte, frameHead)...))
	batch(w, b)
	reports := b.Reports
	if whole {
		reports = nil
	}
	w.length(len(reports))
	for i := range reports {
		event(w, &reports[i])
	}
	sealFrame(w.out[len(magic):])

	name := j.batchFile(Place{b.Writer, b.Last})
	if err := os.WriteFile(name+newSuffix, w.out, 0o600); err != nil {
		os.Remove(name + newSuffix) //nolint:errcheck // what is cut off is worth nothing
		return err
	}
	j.bytes.Add(int64(len(w.out)))
	return os.Rename(name+newSuffix, name)
}

// Read reads a batch. Of the last one of a writer that was killed there may be nothing but reports.
func (j *Journal) Read(p Place) (*usage.Batch, error) {
	b := usage.NewBatch(p.Writer, p.Number)
	in, err := os.ReadFile(j.batchFile(p))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		if err := readBatch(in, b); err != nil {
			return nil, fmt.Errorf("%s: %w", j.batchFile(p), err)
		}
	}
	if len(b.Reports) > 0 {
		return b, nil
	}
	in, err = os.ReadFile(j.reportsFile(p))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	b.Reports = readReports(in)
	return b, nil
}

func readBatch(in []byte, b *usage.Batch) error {
	in, ok := bytes.CutPrefix(in, magic)
	if !ok {
		return errors.New("it was written by another version of Claviger")
	}
	payload, _, err := nextFrame(in)
	if err != nil {
		return errCutOff
	}
	w := reader(payload)
	batch(w, b)
	length := w.length(0)
	for i := 0; i < length && w.err == nil; i++ {
		b.Reports = append(b.Reports, usage.Event{})
		event(w, &b.Reports[i])
	}
	return w.err
}

// readReports reads until the end, or until where a kill cut it off.
func readReports(in []byte) (reports []usage.Event) {
	for {
		payload, rest, err := nextFrame(in)
		if err != nil {
			return reports
		}
		var e usage.Event
		w := reader(payload)
		if event(w, &e); w.err != nil {
			return reports
		}
		reports, in = append(reports, e), rest
	}
}

// Remove removes a batch, which is stored.
func (j *Journal) Remove(p Place) error {
	var errs []error
	for _, name := range []string{j.reportsFile(p), j.batchFile(p)} {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.Remove(name)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		j.bytes.Add(-info.Size())
	}
	if p.Writer != j.writer {
		os.Remove(filepath.Join(j.dir, p.Writer)) //nolint:errcheck // which it can only where it is empty
	}
	return errors.Join(errs...)
}

// PutAside keeps a batch that cannot be read from being tried again. Somebody may be able to make something of it.
func (j *Journal) PutAside(p Place) (name string, err error) {
	name = j.batchFile(p) + ".damaged"
	return name, os.Rename(j.batchFile(p), name)
}

// Left are the batches of writers that are gone, those of each in order.
func (j *Journal) Left() ([]Place, error) {
	dirs, err := os.ReadDir(j.dir)
	if err != nil {
		return nil, err
	}
	var places []Place
	for _, dir := range dirs {
		if !dir.IsDir() || dir.Name() == j.writer {
			continue
		}
		found, err := j.leftBy(dir.Name())
		if err != nil {
			return nil, err
		}
		places = append(places, found...)
	}
	return places, nil
}

func (j *Journal) leftBy(writer string) (places []Place, err error) {
	seen := map[int64]bool{}
	files, err := os.ReadDir(filepath.Join(j.dir, writer))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		name := file.Name()
		if strings.HasSuffix(name, newSuffix) {
			os.Remove(filepath.Join(j.dir, writer, name)) //nolint:errcheck // it was not finished
			continue
		}
		number, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSuffix(name, batchSuffix), reportsSuffix), 10, 64)
		if err == nil && !seen[number] {
			seen[number], places = true, append(places, Place{writer, number})
		}
	}
	slices.SortFunc(places, func(a, b Place) int { return cmp.Compare(a.Number, b.Number) })
	if len(files) == 0 {
		os.Remove(filepath.Join(j.dir, writer)) //nolint:errcheck // its writer ended with nothing left
	}
	return places, nil
}

// measure is the size of all files.
func (j *Journal) measure() (sum int64) {
	filepath.WalkDir(j.dir, func(_ string, entry fs.DirEntry, err error) error { //nolint:errcheck // as far as it can be read
		if err == nil && !entry.IsDir() {
			if info, err := entry.Info(); err == nil {
				sum += info.Size()
			}
		}
		return nil
	})
	return sum
}
