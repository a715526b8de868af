package manifests

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"github.com/fsnotify/fsnotify"
	"github.com/go-logr/logr"
)

// changes tells that something happened in some directories, if the system does.
type changes struct {
	happened chan struct{}     // holds one at most, however much happened
	watcher  *fsnotify.Watcher // nil: the system has none to give
	log      logr.Logger
}

// watch begins to watch, until ctx ends. What it cannot watch is polled anyway.
func watch(ctx context.Context, log logr.Logger) *changes {
	c := &changes{happened: make(chan struct{}, 1), log: log}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		log.Info("The system does not tell of changes to files; they are looked for instead", "reason", err.Error())
		return c
	}
	c.watcher = watcher
	go func() {
		defer watcher.Close() //nolint:errcheck // nothing depends on it any more
		for {
			select {
			case <-ctx.Done():
				return
			case <-watcher.Events:
			case err := <-watcher.Errors: // an overflow means that something happened, too
				log.V(1).Info("Some changes to files may have been missed", "reason", err.Error())
			}
			select {
			case c.happened <- struct{}{}:
			default:
			}
		}
	}()
	return c
}

// follow watches these directories and no others. A link to the directory itself is swapped in
// the one around it.
func (c *changes) follow(directory string, within []string) {
	if c.watcher == nil {
		return
	}
	if info, err := os.Lstat(directory); err == nil && info.Mode()&os.ModeSymlink != 0 {
		within = append(slices.Clone(within), filepath.Dir(directory))
	}
	watched := c.watcher.WatchList()
	for _, path := range watched {
		if !slices.Contains(within, path) {
			c.watcher.Remove(path) //nolint:errcheck // it is gone already
		}
	}
	for _, path := range within {
		if slices.Contains(watched, path) {
			continue
		}
		if err := c.watcher.Add(path); err != nil {
			c.log.V(1).Info("Changes to a directory are looked for, since the system does not tell of them", "directory", path, "reason", err.Error())
		}
	}
}
