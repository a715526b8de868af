package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// lock keeps two runs from sharing a directory. The kernel lets go of it when its holder
// dies, however it dies.
type lock struct {
	file *os.File
	// leftByCrash: the run before was killed, and what it started may still be ending.
	leftByCrash bool
}

func takeLock(dir string) (*lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := requireOwn(dir); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	l, err := lockFile(file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return l, nil
}

// requireOwn refuses a directory with files of somebody else's: a run moves its logs about.
func requireOwn(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "lock")); err == nil {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s holds other things than a run of Claviger: give a new or an empty --dir", dir)
	}
	return nil
}

func lockFile(file *os.File) (*lock, error) {
	// It holds the process that has it, and nothing after a proper end.
	content, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	holder := strings.TrimSpace(string(content))
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("another one (process %s) runs in %s: stop it first, or give this one another --dir", holder, filepath.Dir(file.Name()))
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be locked: %w", file.Name(), err)
	}
	if err := file.Truncate(0); err != nil {
		return nil, err
	}
	if _, err := file.WriteAt(fmt.Appendln(nil, os.Getpid()), 0); err != nil {
		return nil, err
	}
	return &lock{file: file, leftByCrash: holder != ""}, nil
}

func (l *lock) release() {
	l.file.Truncate(0) //nolint:errcheck // at worst the next run looks twice at its ports
	l.file.Close()     //nolint:errcheck // nothing was written that matters
}
