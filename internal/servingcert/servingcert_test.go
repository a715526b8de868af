package servingcert

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
)

func TestEachReasonToWaitIsToldOnce(t *testing.T) {
	dir := t.TempDir()
	told := make(chan string, 100)
	certificate := New(dir, funcr.New(func(_, args string) { told <- args }, funcr.Options{}))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	go certificate.Start(ctx) //nolint:errcheck // it has none
	next := func() string {
		t.Helper()
		select {
		case line := <-told:
			return line
		case <-ctx.Done():
			t.Fatal("nothing was told")
			return ""
		}
	}
	if line := next(); !strings.Contains(line, "no such file") {
		t.Errorf("of no files it tells %s", line)
	}
	for _, name := range []string{"tls.key", "tls.crt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("broken"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for line := next(); !strings.Contains(line, "PEM"); line = next() {
		if !strings.Contains(line, "no such file") { // of the one that came second
			t.Errorf("of broken files it tells %s", line)
		}
	}
	if certificate.Ready() == nil {
		t.Error("it is ready with broken files")
	}
}
