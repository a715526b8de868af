package manifests

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/token"
)

// patience is for what other goroutines have to do first.
const patience = 30 * time.Second

// never is longer than any test: what happens then was not found by looking from time to time.
const never = time.Hour

type fixture struct {
	*Source
	directory string
}

// start follows a directory with these files.
func start(t *testing.T, directory string, poll time.Duration, log logr.Logger) *fixture {
	t.Helper()
	f := &fixture{directory: directory}
	var err error
	f.Source, err = New(Options{
		Directory: directory, Index: keyindex.New(), Log: log, Registerer: prometheus.NewRegistry(),
		Poll: poll, Settle: 10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	return f
}

func (f *fixture) code() policy.Code {
	var entry keyindex.Entry
	if !f.Index.Lookup(token.HashOf(demoKey), &entry) {
		return policy.CodeKeyInvalid
	}
	return policy.Check(&policy.Request{}, &entry.Record, noon)
}

// becomes waits until the demo key is answered so.
func (f *fixture) becomes(t *testing.T, want policy.Code) {
	t.Helper()
	eventually(t, func() bool { return f.code() == want }, func() string { return "the answer is " + f.code().String() + ", want " + want.String() })
}

// hasMistakes waits until the directory is found wrong, or right.
func (f *fixture) hasMistakes(t *testing.T, some bool) {
	t.Helper()
	var metric dto.Metric
	eventually(t, func() bool {
		must(t, f.metrics.mistakes.Write(&metric))
		return metric.GetGauge().GetValue() > 0 == some
	}, func() string { return "the metric still tells of " + metric.String() })
}

func eventually(t *testing.T, is func() bool, otherwise func() string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(otherwise())
		}
	}
}

func good() files {
	return files{"shop.yaml": shop, "keys/key.yaml": checkout, "keys/hash.yaml": checkoutHash}
}

func TestChangesTakeHold(t *testing.T) {
	for how, poll := range map[string]time.Duration{"told by the system": never, "found by looking": 20 * time.Millisecond} {
		t.Run(how, func(t *testing.T) {
			directory := t.TempDir()
			good().write(t, directory)
			f := start(t, directory, poll, logr.Discard())
			f.becomes(t, policy.CodeValid)

			files{"keys/key.yaml": checkout + "  state: Disabled\n"}.write(t, directory)
			f.becomes(t, policy.CodeKeyDisabled)
			files{"keys/key.yaml": checkout}.write(t, directory)
			f.becomes(t, policy.CodeValid)
			files{"shop.yaml": strings.Replace(shop, "spec:\n", "spec:\n  suspended: true\n", 1)}.write(t, directory)
			f.becomes(t, policy.CodeWorkspaceSuspended)
			files{"shop.yaml": shop}.write(t, directory)
			f.becomes(t, policy.CodeValid)

			removeAll(t, filepath.Join(directory, "keys"))
			f.becomes(t, policy.CodeKeyInvalid)
			files{"new/deeper/key.yaml": checkout, "new/deeper/hash.yaml": checkoutHash}.write(t, directory)
			f.becomes(t, policy.CodeValid)
		})
	}
}

func TestAMistakeKeepsTheLastGoodState(t *testing.T) {
	mistakes := map[string]func(t *testing.T, directory string){
		"in another file":       func(t *testing.T, d string) { files{"other.yaml": "a: ["}.write(t, d) },
		"in the key itself":     func(t *testing.T, d string) { files{"keys/key.yaml": checkout + "  ttl: 1w\n"}.write(t, d) },
		"a file that is a pipe": func(t *testing.T, d string) { must(t, syscall.Mkfifo(filepath.Join(d, "pipe.yaml"), 0o600)) },
		"a link to nothing":     func(t *testing.T, d string) { must(t, os.Symlink("nowhere", filepath.Join(d, "link.yaml"))) },
		"a link to a directory that is away": func(t *testing.T, d string) {
			must(t, os.Rename(filepath.Join(d, "keys"), filepath.Join(filepath.Dir(d), "unmounted")))
			must(t, os.Symlink("../volume", filepath.Join(d, "keys")))
		},
		"a link below a file":         func(t *testing.T, d string) { must(t, os.Symlink("shop.yaml/keys", filepath.Join(d, "link"))) },
		"a link to itself":            func(t *testing.T, d string) { must(t, os.Symlink("link", filepath.Join(d, "link"))) },
		"a link with too long a name": func(t *testing.T, d string) { must(t, os.Symlink(strings.Repeat("a", 300), filepath.Join(d, "link"))) },
		"a link around":               func(t *testing.T, d string) { must(t, os.Symlink("..", filepath.Join(d, "keys", "up"))) },
		"an empty directory": func(t *testing.T, d string) {
			removeAll(t, filepath.Join(d, "keys"))
			removeAll(t, filepath.Join(d, "shop.yaml"))
		},
		"no directory":           func(t *testing.T, d string) { removeAll(t, d) },
		"a file that is too big": func(t *testing.T, d string) { files{"big.yaml": strings.Repeat("#", maxFileSize+1)}.write(t, d) },
	}
	for name, make := range mistakes {
		t.Run(name, func(t *testing.T) {
			directory := filepath.Join(t.TempDir(), "manifests")
			good().write(t, directory)
			f := start(t, directory, 20*time.Millisecond, logr.Discard())
			make(t, directory)
			f.hasMistakes(t, true)
			if got := f.code(); got != policy.CodeValid {
				t.Errorf("the key that worked before is answered with %s", got)
			}

			removeAll(t, directory)
			mended := good()
			mended["keys/key.yaml"] = checkout + "  state: Revoked\n"
			mended.write(t, directory)
			f.becomes(t, policy.CodeKeyRevoked)
			f.hasMistakes(t, false)
		})
	}
}

// A mounted ConfigMap or Secret is a directory of links through ..data, which is swapped at once.
func TestASwappedMountTakesHold(t *testing.T) {
	mount := t.TempDir()
	good().flat().write(t, filepath.Join(mount, "..2026_1"))
	must(t, os.Symlink("..2026_1", filepath.Join(mount, "..data")))
	for name := range good().flat() {
		must(t, os.Symlink(filepath.Join("..data", name), filepath.Join(mount, name)))
	}
	f := start(t, mount, never, logr.Discard())
	f.becomes(t, policy.CodeValid)

	next := good()
	next["keys/key.yaml"] = checkout + "  state: Revoked\n"
	next.flat().write(t, filepath.Join(mount, "..2026_2"))
	must(t, os.Symlink("..2026_2", filepath.Join(mount, "..data_tmp")))
	must(t, os.Rename(filepath.Join(mount, "..data_tmp"), filepath.Join(mount, "..data")))
	removeAll(t, filepath.Join(mount, "..2026_1"))
	f.becomes(t, policy.CodeKeyRevoked)
}

// Tools that follow a Git repository swap a link to the whole directory.
func TestASwappedDirectoryTakesHold(t *testing.T) {
	parent := t.TempDir()
	good().write(t, filepath.Join(parent, "1"))
	next := good()
	next["keys/key.yaml"] = checkout + "  state: Revoked\n"
	next.write(t, filepath.Join(parent, "2"))
	current := filepath.Join(parent, "current")
	must(t, os.Symlink("1", current))
	f := start(t, current, never, logr.Discard())
	f.becomes(t, policy.CodeValid)

	must(t, os.Symlink("2", current+"_tmp"))
	must(t, os.Rename(current+"_tmp", current))
	f.becomes(t, policy.CodeKeyRevoked)
	files{"keys/key.yaml": checkout}.write(t, filepath.Join(parent, "2"))
	f.becomes(t, policy.CodeValid)
}

// A file that is always being written must not put off what happens to the others.
func TestUnrestDoesNotPutOffARevocation(t *testing.T) {
	directory := t.TempDir()
	good().write(t, directory)
	now, written := noon, 0
	f := &fixture{directory: directory}
	var err error
	f.Source, err = New(Options{
		Directory: directory, Index: keyindex.New(), Log: logr.Discard(), Settle: time.Millisecond,
		Now: func() time.Time { return now },
	})
	must(t, err)
	removeAll(t, filepath.Join(directory, "keys"))
	f.Now = func() time.Time { // asked between any two looks
		if now = now.Add(time.Second); written < 100 {
			written++
			files{"other.yaml": fmt.Sprintf("n: %d\n", written)}.write(t, directory)
		}
		return now
	}
	if _, err := f.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := f.code(); got != policy.CodeKeyInvalid || written == 100 {
		t.Errorf("the removed key is answered with %s when the file had been written %d times", got, written)
	}
	if waited := now.Sub(noon); waited < maxUnrest {
		t.Errorf("a file that was perhaps half written was believed after %v", waited)
	}
}

func (f files) flat() files {
	flat := files{}
	for name, text := range f {
		flat[filepath.Base(name)] = text
	}
	return flat
}

func TestAtTheStartAllMistakesAreToldAtOnce(t *testing.T) {
	directory := t.TempDir()
	files{"a.yaml": "a: [", "b.yaml": "b: ["}.write(t, directory)
	_, err := New(Options{Directory: directory, Index: keyindex.New(), Log: logr.Discard()})
	var mistakes Mistakes
	if !errors.As(err, &mistakes) || len(mistakes) != 2 || !strings.Contains(err.Error(), "\nb.yaml:1: ") {
		t.Errorf("got %v", err)
	}
	_, err = New(Options{Directory: t.TempDir(), Index: keyindex.New(), Log: logr.Discard()})
	if err == nil || !strings.Contains(err.Error(), "is its volume mounted?") {
		t.Errorf("of an empty directory it says %v", err)
	}
}

func TestNoLogShowsAKeyOrAHash(t *testing.T) {
	directory := t.TempDir()
	good().write(t, directory)
	var lines sync.Map
	f := start(t, directory, 20*time.Millisecond, funcr.New(func(prefix, args string) { lines.Store(prefix+args, nil) }, funcr.Options{Verbosity: 9}))
	for _, wrong := range []files{
		{"keys/hash.yaml": checkoutSecret + "  " + demoKey + ": 1\n"},
		{"keys/hash.yaml": checkoutHash, "shop.yaml": shop + "  " + demoSHA256 + ": 1\n"},
		{"keys/hash.yaml": strings.Replace(checkoutSecret, demoKey, "!!int "+demoKey, 1)},
		{"keys/hash.yaml": checkoutSecret + "  " + demoKey + ": a\n  " + demoKey + ": a\n"},
		{"keys/hash.yaml": checkoutSecret + "  ? {" + demoKey + ": a}\n  : a\n"},
		{"keys/hash.yaml": checkoutSecret + "  other: \"" + demoKey + "\n"},
		{"keys/hash.yaml": checkoutSecret + "  other: *" + demoKey + "\n"},
		{"keys/hash.yaml": checkoutSecret + "  other: *" + demoKey[8:] + "\n"},
		{"keys/hash.yaml": checkoutSecret + "  other: &" + demoKey[8:] + " [*" + demoKey[8:] + "]\n"},
		{"keys/hash.yaml": "apiVersion: x/v1\nkind: " + demoKey + "\n---\n" + checkoutSecret + "wrong: 1\n", "foreign.yaml": "apiVersion: x/v1\nkind: " + demoKey + "\n"},
		{"keys/hash.yaml": strings.Replace(checkoutSecret, demoKey, demoKey[:39], 1)},
		{"keys/hash.yaml": strings.Replace(checkoutSecret, "stringData", "data", 1)},
		{"keys/hash.yaml": strings.Replace(checkoutHash, demoSHA256, demoSHA256+"0", 1)},
	} {
		wrong.write(t, directory)
		f.hasMistakes(t, true)
		good().write(t, directory)
		f.hasMistakes(t, false)
	}
	var log strings.Builder
	for line := range lines.Range {
		log.WriteString(line.(string) + "\n")
	}
	if !strings.Contains(log.String(), "hash.yaml:") {
		t.Fatalf("nothing was told:\n%s", log.String())
	}
	for _, secret := range []string{demoKey[8:30], demoSHA256[:20]} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q is in the log:\n%s", secret, log.String())
		}
	}
}

func removeAll(t *testing.T, path string) {
	t.Helper()
	must(t, os.RemoveAll(path))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
