package snapshot

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var spoken = time.Unix(1_800_000_000, 123)

func open(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := Open(path, "here")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// reopen is what a restart does.
func reopen(t *testing.T, d *Dir) *Dir {
	t.Helper()
	d.Close()
	return open(t, d.path)
}

func text(content string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, content); return err }
}

func write(t *testing.T, d *Dir, content string) {
	t.Helper()
	if _, err := d.Write(spoken, text(content)); err != nil {
		t.Fatal(err)
	}
}

func load(d *Dir) (content string, contact time.Time, err error) {
	contact, err = d.Load(func(r io.Reader) error {
		read, err := io.ReadAll(r)
		content = string(read)
		return err
	})
	if err != nil {
		content = ""
	}
	return content, contact, err
}

func wantLoaded(t *testing.T, d *Dir, content string) {
	t.Helper()
	if got, _, err := load(d); got != content || err != nil {
		t.Errorf("got %q, %v; want %q", got, err, content)
	}
}

func wantRefused(t *testing.T, d *Dir, why string) {
	t.Helper()
	_, _, err := load(d)
	if err == nil || errors.Is(err, ErrNone) || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), "waits for the API server") {
		t.Errorf("the error is %v; want %q and what happens next in it", err, why)
	}
	damaged := damage("")
	_, missing := os.Stat(d.file(refusedName))
	_, _, again := load(d)
	if errors.As(err, &damaged) {
		if missing != nil || !errors.Is(again, ErrNone) {
			t.Errorf("it was not put aside: %v; asked again: %v", missing, again)
		}
	} else if missing == nil || again == nil || again.Error() != err.Error() {
		t.Errorf("it was not left where it is; asked again: %v", again)
	}
}

func TestAStartWithAWrongOriginCostsNoSnapshot(t *testing.T) {
	d := open(t, t.TempDir())
	write(t, d, "good")
	d.Close()
	elsewhere, err := Open(d.path, "somewhere else")
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, elsewhere, "another cluster")
	wantLoaded(t, reopen(t, elsewhere), "good")
}

func TestASnapshotThatCannotBeReadIsLeft(t *testing.T) {
	d := open(t, t.TempDir())
	if err := os.Symlink(snapshotName, d.file(snapshotName)); err != nil { // a loop
		t.Fatal(err)
	}
	_, _, err := load(d)
	if err == nil || !strings.Contains(err.Error(), "left where it is") {
		t.Errorf("the error is %v", err)
	}
	if _, err := os.Lstat(d.file(snapshotName)); err != nil {
		t.Error(err)
	}
}

func TestWhatIsWrittenIsLoaded(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "new"))
	if _, _, err := load(d); !errors.Is(err, ErrNone) {
		t.Errorf("in an empty directory: %v", err)
	}
	write(t, d, "one")
	size, err := d.Write(spoken, text("two"))
	if err != nil {
		t.Fatal(err)
	}
	d = reopen(t, d)
	content, contact, err := load(d)
	if content != "two" || !contact.Equal(spoken) || err != nil {
		t.Errorf("got %q of %s, %v", content, contact, err)
	}
	for _, name := range []string{snapshotName, floorName, lockName} {
		info, err := os.Stat(d.file(name))
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
		if name == snapshotName && info.Size() != size {
			t.Errorf("it has %d bytes and was told to have %d", info.Size(), size)
		}
	}
	later := spoken.Add(time.Hour)
	if err := d.Touch(later); err != nil {
		t.Fatal(err)
	}
	if content, contact, err := load(reopen(t, d)); content != "two" || !contact.Equal(later) || err != nil {
		t.Errorf("heard of again: got %q of %s, %v", content, contact, err)
	}
}

func TestWhateverIsChangedIsRefused(t *testing.T) {
	whole := bytes.Buffer{}
	var origin [32]byte
	if _, err := encode(&whole, header{magic, version, 1, 5, origin}, text("payload")); err != nil {
		t.Fatal(err)
	}
	refused := func(content []byte, what string, at int) {
		if _, err := check(bytes.NewReader(content), int64(len(content))); err == nil {
			t.Errorf("%s %d: it was taken", what, at)
		}
	}
	if _, err := check(bytes.NewReader(whole.Bytes()), int64(whole.Len())); err != nil {
		t.Fatal(err)
	}
	for at := range whole.Len() {
		refused(whole.Bytes()[:at], "cut off after", at)
		for _, bit := range []byte{1, 0x80} {
			damaged := bytes.Clone(whole.Bytes())
			damaged[at] ^= bit
			refused(damaged, "changed at", at)
		}
	}
	refused(append(bytes.Clone(whole.Bytes()), 0), "longer by", 1)
	refused(append(bytes.Clone(whole.Bytes()), whole.Bytes()...), "twice, from", whole.Len())
}

func TestWhatIsRefusedSaysWhy(t *testing.T) {
	tests := map[string]struct {
		spoil func(*testing.T, *Dir)
		why   string
	}{
		"an older one put back":     {func(t *testing.T, d *Dir) { backUp(t, d); write(t, d, "x"); putBack(t, d) }, "there was a number"},
		"a floor that is gone":      {func(_ *testing.T, d *Dir) { os.Remove(d.file(floorName)) }, "is gone"},
		"a floor that is damaged":   {func(t *testing.T, d *Dir) { put(t, d, floorName, "claviger") }, "damaged"},
		"a floor that is empty":     {func(t *testing.T, d *Dir) { put(t, d, floorName, "") }, "damaged"},
		"a snapshot that is empty":  {func(t *testing.T, d *Dir) { put(t, d, snapshotName, "") }, "cut off"},
		"a snapshot that is none":   {func(t *testing.T, d *Dir) { put(t, d, snapshotName, strings.Repeat("x", 1000)) }, "no snapshot"},
		"the format of another age": {func(t *testing.T, d *Dir) { edit(t, d, func(h *header) { h.Version++ }) }, "its format is 2"},
		"another cluster's":         {func(t *testing.T, d *Dir) { edit(t, d, func(h *header) { h.Origin[0]++ }) }, "another cluster"},
		"no number":                 {func(t *testing.T, d *Dir) { edit(t, d, func(h *header) { h.Sequence = 0 }) }, "sequence number"},
		"the last number":           {func(t *testing.T, d *Dir) { edit(t, d, func(h *header) { h.Sequence = ^uint64(0) }) }, "sequence number"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := open(t, t.TempDir())
			write(t, d, "one")
			write(t, d, "two")
			test.spoil(t, d)
			d = reopen(t, d)
			wantRefused(t, d, test.why)
			write(t, d, "three")
			wantLoaded(t, reopen(t, d), "three")
		})
	}
}

func backUp(t *testing.T, d *Dir) {
	content, err := os.ReadFile(d.file(snapshotName))
	if err != nil {
		t.Fatal(err)
	}
	put(t, d, "backup", string(content))
}

func putBack(t *testing.T, d *Dir) {
	if err := os.Rename(d.file("backup"), d.file(snapshotName)); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, d *Dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(d.file(name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// edit writes a snapshot that is whole but for its header.
func edit(t *testing.T, d *Dir, change func(*header)) {
	h := header{magic, version, d.used, 0, d.origin}
	change(&h)
	var file bytes.Buffer
	if _, err := encode(&file, h, text("edited")); err != nil {
		t.Fatal(err)
	}
	put(t, d, snapshotName, file.String())
}

func TestContentThatIsNotReadToItsEndIsRefused(t *testing.T) {
	d := open(t, t.TempDir())
	write(t, d, "one and more")
	_, err := reopen(t, d).Load(func(r io.Reader) error {
		_, err := io.ReadFull(r, make([]byte, 3))
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "goes on") {
		t.Errorf("the error is %v", err)
	}
}

// A kill between any two steps of writing leaves the old one or the new one.
func TestAKillAtAnyStep(t *testing.T) {
	var file bytes.Buffer
	tests := map[string]struct {
		left func(*testing.T, *Dir)
		want string
	}{
		"before anything":        {func(*testing.T, *Dir) {}, "old"},
		"with a new file, empty": {func(t *testing.T, d *Dir) { put(t, d, snapshotName+newSuffix, "") }, "old"},
		"with half a new file":   {func(t *testing.T, d *Dir) { put(t, d, snapshotName+newSuffix, file.String()[:file.Len()/2]) }, "old"},
		"with a whole new file":  {func(t *testing.T, d *Dir) { put(t, d, snapshotName+newSuffix, file.String()) }, "old"},
		"renamed":                {func(t *testing.T, d *Dir) { put(t, d, snapshotName, file.String()) }, "new"},
		"with half a new floor": {func(t *testing.T, d *Dir) {
			put(t, d, snapshotName, file.String())
			put(t, d, floorName+newSuffix, "cla")
		}, "new"},
		"with a whole new floor": {func(t *testing.T, d *Dir) {
			put(t, d, snapshotName, file.String())
			put(t, d, floorName+newSuffix, floor{2, spoken}.text())
		}, "new"},
		"with the new floor in use": {func(t *testing.T, d *Dir) {
			put(t, d, snapshotName, file.String())
			put(t, d, floorName, floor{2, spoken}.text())
		}, "new"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := open(t, t.TempDir())
			write(t, d, "old")
			file.Reset()
			if _, err := encode(&file, header{magic, version, 2, spoken.UnixNano(), d.origin}, text("new")); err != nil {
				t.Fatal(err)
			}
			test.left(t, d)
			d = reopen(t, d)
			wantLoaded(t, d, test.want)
			write(t, d, "next")
			wantLoaded(t, reopen(t, d), "next")
		})
	}
	t.Run("renamed, the very first", func(t *testing.T) {
		d := open(t, t.TempDir())
		write(t, d, "first")
		if err := os.Remove(d.file(floorName)); err != nil {
			t.Fatal(err)
		}
		wantLoaded(t, reopen(t, d), "first")
	})
}

func TestAFailureLeavesTheOldOne(t *testing.T) {
	d := open(t, t.TempDir())
	write(t, d, "old")
	full := errors.New("no space left on device")
	_, err := d.Write(spoken, func(w io.Writer) error {
		return errors.Join(text(strings.Repeat("x", 1<<20))(w), full)
	})
	if !errors.Is(err, full) {
		t.Errorf("the error is %v", err)
	}
	if _, err := os.Stat(d.file(snapshotName + newSuffix)); err == nil {
		t.Error("half a file was left")
	}
	wantLoaded(t, reopen(t, d), "old")
}

func TestADirectoryIsForOne(t *testing.T) {
	d := open(t, t.TempDir())
	if _, err := Open(d.path, "here"); err == nil || !strings.Contains(err.Error(), "directory of its own") {
		t.Errorf("the second one got %v", err)
	}
	if _, err := Open(filepath.Join(d.file(lockName), "below"), "here"); err == nil {
		t.Error("a file was taken for a directory")
	}
}

// Whatever the bytes, a snapshot is used only if it is just what would have been written.
func FuzzLoad(f *testing.F) {
	var whole bytes.Buffer
	if _, err := encode(&whole, header{magic, version, 3, 5, [32]byte{}}, text("payload")); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes(), false)
	f.Add(whole.Bytes()[:whole.Len()-32], true)
	f.Add([]byte("claviger"), true)
	f.Fuzz(func(t *testing.T, content []byte, checksum bool) {
		if checksum {
			content = seal(content)
		}
		h, err := check(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			return
		}
		var payload []byte
		err = decode(bytes.NewReader(content), int64(len(content)), func(r io.Reader) (err error) {
			payload, err = io.ReadAll(r)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var again bytes.Buffer
		if _, err := encode(&again, h, text(string(payload))); err != nil || !bytes.Equal(again.Bytes(), content) {
			t.Errorf("%x was taken, and would be written as %x, %v", content, again.Bytes(), err)
		}
	})
}

func FuzzFloor(f *testing.F) {
	f.Add(floor{7, spoken}.text())
	f.Add("claviger snapshot floor 1 sequence 1 contact -1 checksum 0")
	f.Fuzz(func(t *testing.T, content string) {
		if got, err := parseFloor(content); err == nil && got.text() != content {
			t.Errorf("%q was read as %+v", content, got)
		}
	})
}

// seal gives bytes the length and the checksum that they should have, so that more than these is tried.
func seal(content []byte) []byte {
	if len(content) < headerSize {
		return content
	}
	content = binary.BigEndian.AppendUint64(bytes.Clone(content), uint64(len(content)-headerSize))
	checksum := sha256.Sum256(content)
	return append(content, checksum[:]...)
}
