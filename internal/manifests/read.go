package manifests

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// The bounds of a directory. Beyond them it is not what was meant, or wants a cluster.
const (
	maxFileSize  = 4 << 20
	maxTotalSize = 64 << 20
	maxEntries   = 20_000 // in all directories together, of any kind
	maxDepth     = 16
)

// file is a file with manifests.
type file struct {
	name string // under the directory, with slashes
	text []byte
}

// content is what the directory held when it was read.
type content struct {
	files       []file
	directories []string // their real paths
	mistakes    Mistakes
	// digest tells whether two contents are the same, their mistakes included.
	digest [sha256.Size]byte
}

// reader reads a directory tree. Symbolic links are followed, as a mounted ConfigMap or Secret
// consists of them; entries that begin with a dot are passed over, among them those that the
// links of a mount lead to.
type reader struct {
	content
	entries, size int
	sum           hash.Hash
}

func read(directory string) content {
	r := reader{sum: sha256.New()}
	r.directory(directory, ".", nil)
	for _, m := range r.mistakes {
		r.note(m.File, []byte(m.Text))
	}
	r.sum.Sum(r.digest[:0])
	return r.content
}

// note takes a file up into the digest.
func (r *reader) note(name string, text []byte) {
	for _, part := range [][]byte{[]byte(name), text} {
		r.sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		r.sum.Write(part)
	}
}

func (r *reader) fail(name string, err error) {
	r.mistakes.add(Mistake{File: name, Text: err.Error()})
}

// directory reads what is in a directory; above are the real paths of those it is in.
func (r *reader) directory(at, name string, above []string) {
	real, err := filepath.EvalSymlinks(at)
	if err != nil {
		r.fail(name, cause("cannot be read", err))
		return
	}
	if slices.Contains(above, real) || len(above) >= maxDepth {
		r.fail(name, fmt.Errorf("leads back to where it is, or more than %d directories deep: remove the link", maxDepth))
		return
	}
	entries, err := r.list(real)
	if err != nil {
		r.fail(name, err)
		return
	}
	r.directories = append(r.directories, real)
	above = append(above, real)
	for _, entry := range entries {
		if strings.HasPrefix(entry, ".") {
			continue
		}
		r.entry(filepath.Join(real, entry), path.Join(name, entry), above)
	}
}

// list names the entries of a directory, in order, and no more of them than may be.
func (r *reader) list(directory string) ([]string, error) {
	f, err := os.Open(directory)
	if err != nil {
		return nil, cause("cannot be read", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	names, err := f.Readdirnames(maxEntries - r.entries + 1)
	if err != nil && err != io.EOF { //nolint:errorlint // it is never wrapped
		return nil, cause("cannot be read", err)
	}
	if r.entries += len(names); r.entries > maxEntries {
		r.entries = maxEntries
		return nil, fmt.Errorf("there are more than %d files and directories: give the manifests a directory of their own", maxEntries)
	}
	slices.Sort(names)
	return names, nil
}

func (r *reader) entry(at, name string, above []string) {
	info, err := os.Stat(at)
	switch {
	case err != nil && deleted(at):
		// Between being listed and being looked at.
	case err != nil:
		// Whatever it is named: it may be a directory, and the keys below it are not revoked
		// because a volume is away.
		r.fail(name, cause("cannot be read", err))
	case info.IsDir():
		r.directory(at, name, above)
	case isManifest(name):
		text, err := r.file(at)
		if err != nil {
			r.fail(name, err)
			return
		}
		r.note(name, text)
		r.files = append(r.files, file{name, text})
	}
}

// deleted says that not even a link is there: one that leads nowhere is not deleted.
func deleted(at string) bool {
	_, err := os.Lstat(at)
	return errors.Is(err, fs.ErrNotExist)
}

func isManifest(name string) bool {
	switch path.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// file reads a file that is one: opening a pipe would wait for somebody to write.
func (r *reader) file(at string) ([]byte, error) {
	f, err := os.OpenFile(at, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, cause("cannot be read", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, cause("cannot be read", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("is no regular file: remove it, or name it otherwise")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, cause("cannot be read", err)
	}
	if len(text) > maxFileSize {
		return nil, fmt.Errorf("is larger than %d MiB: split it", maxFileSize>>20)
	}
	if r.size += len(text); r.size > maxTotalSize {
		return nil, fmt.Errorf("is one too many: all manifests together are larger than %d MiB", maxTotalSize>>20)
	}
	return text, nil
}

// cause leaves out the path, which is said already, and differs with each swap of a mount.
func cause(what string, err error) error {
	if pathError, ok := err.(*os.PathError); ok { //nolint:errorlint // the outermost is meant
		err = pathError.Err
	}
	return fmt.Errorf("%s: %w", what, err)
}
