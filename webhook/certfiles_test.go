package webhook

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFilesAreWrittenForTheirOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "on", "the", "way")
	for _, content := range []string{"first", "second"} {
		data := map[string][]byte{caFile: []byte(content + " ca"), certFile: []byte(content), keyFile: []byte(content + " key"), caKeyFile: []byte("stays")}
		if inPlace, err := writeFiles(dir, data); err != nil || !inPlace {
			t.Fatalf("in place: %v, %v", inPlace, err)
		}
		for name, want := range map[string]string{caFile: content + " ca", certFile: content, keyFile: content + " key"} {
			path := filepath.Join(dir, name)
			if got, err := os.ReadFile(path); err != nil || string(got) != want {
				t.Errorf("%s holds %q (%v), want %q", name, got, err, want)
			}
			if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
				t.Errorf("%s has mode %v, %v", name, info.Mode(), err)
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("the directory holds %v, %v: the authority's key has no business there", entries, err)
	}
}

func TestADirectoryThatCannotBeSaysWhatToDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := writeFiles(filepath.Join(file, "below"), map[string][]byte{caFile: []byte("x")})
	if err == nil || !strings.Contains(err.Error(), "let this process write there, or mount the Secret there") {
		t.Errorf("got %v", err)
	}
}
