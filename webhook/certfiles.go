package webhook

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// writeFiles puts the certificate into the directory, and says whether it is there now. It is not
// where the directory is read-only: then it is a mounted Secret that the kubelet writes.
//
// The key comes first: a reader that meets the new key with the old certificate sees that they do not
// match, keeps what it had, and looks again when the certificate follows.
func writeFiles(dir string, data map[string][]byte) (inPlace bool, err error) {
	for _, name := range []string{caFile, keyFile, certFile} {
		err := writeFile(filepath.Join(dir, name), data[name])
		if errors.Is(err, syscall.EROFS) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("cannot put the webhook's certificate into %s: let this process write there, or mount the Secret there: %w", dir, err)
		}
	}
	return true, nil
}

func writeFile(path string, content []byte) error {
	if present, err := os.ReadFile(path); err == nil && bytes.Equal(present, content) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	// Rename, so that whoever reads it sees the old one or the new one whole.
	temporary := path + ".new"
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
