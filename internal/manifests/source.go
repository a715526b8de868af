// Package manifests keeps a keyindex true to a directory of manifests: the same YAML as in a
// cluster, through the same validation, where there is no control plane.
//
// The directory as a whole is right or wrong. With a mistake anywhere in it the index keeps the
// last state that was right, and the mistake is told with file, line and field. What is right
// depends on nothing but the directory: not on what it held before, or when the process was started. So rules about
// changes, such as that a revoked key stays revoked, are not applied.
package manifests

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/claviger-dev/claviger/internal/keyindex"
)

// Options are what a Source is made of.
type Options struct {
	// Directory is where the manifests are.
	Directory string
	// Index is kept true.
	Index *keyindex.Index
	Log   logr.Logger
	// Registerer gets the metrics; nil: they are kept from view.
	Registerer prometheus.Registerer
	// Now is the clock; nil: the system's.
	Now func() time.Time
	// Poll is how often to look where nothing tells of changes, as with network filesystems; zero: 10 s.
	Poll time.Duration
	// Settle is for how long nothing may change before a change is believed; zero: 200 ms.
	Settle time.Duration
}

// Source feeds an index from a directory.
type Source struct {
	Options
	applied *state
	seen    content // what was read last; only its digest and its directories are kept
	metrics metrics
}

// New reads the directory, and fails with Mistakes if there are any.
func New(o Options) (*Source, error) {
	if o.Directory == "" || o.Index == nil {
		return nil, errors.New("manifests: Options.Directory and Index must be set")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Poll == 0 {
		o.Poll = 10 * time.Second
	}
	if o.Settle == 0 {
		o.Settle = 200 * time.Millisecond
	}
	s := &Source{Options: o, applied: newState(), metrics: newMetrics()}
	mistakes, err := s.take(read(o.Directory))
	if err != nil {
		return nil, err
	}
	if len(mistakes) > 0 {
		return nil, fmt.Errorf("the manifests in %s have mistakes in them:\n%w", o.Directory, mistakes)
	}
	if o.Registerer != nil {
		if err := s.metrics.register(o.Registerer); err != nil {
			return nil, fmt.Errorf("manifests: registering metrics: %w", err)
		}
	}
	return s, nil
}

// Ready is always so: without a directory that is right there is no Source.
func (s *Source) Ready() error { return nil }

// Run follows the directory until ctx ends.
func (s *Source) Run(ctx context.Context) error {
	changes := watch(ctx, s.Log)
	poll := time.NewTicker(s.Poll)
	defer poll.Stop()
	for {
		// Looked at once more after each change: it may be of what was not watched then.
		changes.follow(s.Directory, s.seen.directories)
		if changed, err := s.look(ctx); err != nil {
			return err
		} else if changed {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changes.happened:
		case <-poll.C:
		}
	}
}

// maxUnrest is how long a change may be put off by others.
const maxUnrest = 5 * time.Second

// look takes up what changed, and says whether there is cause to look again: something changed, or
// there are other directories to watch. A file may be half written and be valid all the same, so a change
// is believed when it was there twice. Where something is always being written, that would put off
// a revocation for good: after a while it is enough that nothing moved while it was read.
func (s *Source) look(ctx context.Context) (changed bool, err error) {
	now := read(s.Directory)
	moved := !slices.Equal(now.directories, s.seen.directories)
	s.seen.directories = now.directories
	began, told := s.Now(), false
	for now.digest != s.seen.digest {
		select {
		case <-ctx.Done():
			return false, nil
		case <-time.After(s.Settle):
		}
		before := now.digest
		late := s.Now().Sub(began) >= maxUnrest
		if now = read(s.Directory); now.digest != before && (!late || now.digest != read(s.Directory).digest) {
			if late && !told {
				told = true
				s.Log.Info("The directory keeps changing, even while it is read, so that nothing of it is taken up: write elsewhere, and move files into place",
					"directory", s.Directory)
			}
			continue
		}
		mistakes, err := s.take(now)
		if err == nil {
			s.tell(mistakes)
		}
		return true, err
	}
	return moved, nil
}

// take applies what was read, all of it or, where there are mistakes, nothing.
func (s *Source) take(now content) (Mistakes, error) {
	s.seen = content{digest: now.digest, directories: now.directories}
	found, err := load(now, s.Now())
	if err != nil {
		return nil, err
	}
	s.metrics.mistakes.Set(float64(len(found.mistakes)))
	if len(found.mistakes) > 0 {
		return found.mistakes, nil
	}
	if err := apply(s.Index, s.applied, found.state); err != nil {
		return nil, err
	}
	s.applied = found.state
	s.metrics.loadedAt.Set(float64(s.Now().UnixMilli()) / 1000)
	for _, warning := range found.warnings {
		s.Log.Info("Warning: " + warning)
	}
	for kind, count := range found.ignored {
		s.Log.Info("Left aside what is not Claviger's", "kind", kind, "count", count)
	}
	s.Log.Info("Took up the directory", "directory", s.Directory, "apiKeys", len(s.applied.keys),
		"usable", len(s.applied.credentials), "workspaces", len(s.applied.workspaces))
	return nil, nil
}

// tell logs a line for each mistake, so that a person can read them.
func (s *Source) tell(mistakes Mistakes) {
	if len(mistakes) == 0 {
		return
	}
	s.Log.Error(nil, "The directory has mistakes in it: serving what it held before, until they are mended",
		"directory", s.Directory, "mistakes", len(mistakes))
	for _, mistake := range mistakes {
		s.Log.Error(nil, mistake.String())
	}
}
