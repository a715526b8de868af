package usagejournal

import (
	"bytes"
	"cmp"
	"errors"
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

// The first bytes of each file, which change with the form of what follows.
var (
	magic        = []byte("claviger usage 1\n")
	reportsMagic = []byte("claviger reports 1\n")
)

func (j *Journal) batchFile(p Place) string   { return j.base(p) + batchSuffix }
func (j *Journal) reportsFile(p Place) string { return j.base(p) + reportsSuffix }
func (j *Journal) base(p Place) string {
	return filepath.Join(j.dir, p.Writer, strconv.FormatInt(p.Number, 10))
}

// Seal writes a batch that was cut. Unless all reports are on disk already, they are written with it.
func (j *Journal) Seal(b *usage.Batch, whole bool) error {
	w := j.beginSealing()
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

// So much memory is kept from one batch to the next.
const keptMemory = 1 << 24

func (j *Journal) beginSealing() *wire {
	if w := j.sealed; w != nil && cap(w.out) < keptMemory && len(w.numbers) < keptMemory>>8 {
		w.reset(append(w.out[:0], magic...))
	} else {
		j.sealed = writer(bytes.Clone(magic))
	}
	j.sealed.out = append(j.sealed.out, make([]byte, frameHead)...)
	return j.sealed
}

// Read reads a batch. Of the last one of a writer that was killed there may be nothing but reports, and of one that was
// put aside nothing at all. What is not as it was written is a *Damaged; after any other error it is worth reading again.
func (j *Journal) Read(p Place) (*usage.Batch, error) {
	b := usage.NewBatch(p.Writer, p.Number)
	in, err := os.ReadFile(j.batchFile(p))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		if err := readBatch(in, b); err != nil {
			return nil, &Damaged{j.batchFile(p), err}
		}
	}
	if len(b.Reports) > 0 {
		return b, nil
	}
	in, err = os.ReadFile(j.reportsFile(p))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if b.Reports, err = readReports(in); err != nil {
		return nil, &Damaged{j.reportsFile(p), err}
	}
	return b, nil
}

func readBatch(in []byte, b *usage.Batch) error {
	in, ok := bytes.CutPrefix(in, magic)
	if !ok {
		return errVersion
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
	return w.end()
}

// readReports reads until the end, or until where a kill cut it off.
func readReports(in []byte) (reports []usage.Event, err error) {
	in, ok := bytes.CutPrefix(in, reportsMagic)
	if !ok && !bytes.HasPrefix(reportsMagic, in) {
		return nil, errVersion
	}
	for ok {
		payload, rest, err := nextFrame(in)
		if err != nil {
			break
		}
		var e usage.Event
		w := reader(payload)
		event(w, &e)
		if err := w.end(); err != nil { // its checksum is right
			return nil, err
		}
		reports, in = append(reports, e), rest
	}
	return reports, nil
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

// Left are the batches of writers that are gone, those of each in order.
func (j *Journal) Left() ([]Place, error) {
	dirs, err := os.ReadDir(j.dir)
	if err != nil {
		return nil, err
	}
	var places []Place
	for _, dir := range dirs {
		if !dir.IsDir() || dir.Name() == j.writer || strings.HasSuffix(dir.Name(), asideSuffix) {
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
