package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/claviger-dev/claviger/test/process"
)

// server is a process that is measured: a verifier, or a child of this program.
type server struct {
	*process.Process
	addresses
	// profile is what it used its processor for, in the format of pprof.
	profile func(context.Context, time.Duration) ([]byte, error)
}

const startTimeout = 2 * time.Minute

// startChild starts a child on the servers' processor, and waits until it serves.
func (b *bench) startChild(ctx context.Context, kind string, o childOptions) (*server, error) {
	arguments, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	output := &firstLine{found: make(chan string, 1)}
	s := &server{}
	err = b.onServerCPU(func() (err error) {
		s.Process, err = process.Start(process.Options{
			Name: kind, Path: self, Args: []string{childCommand, kind, string(arguments)},
			Output: output, OnParentDeath: syscall.SIGKILL,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	b.cleanup(s.Kill)
	select {
	case line := <-output.found:
		if json.Unmarshal([]byte(line), &s.addresses) != nil {
			return nil, fmt.Errorf("the server %s says: %s", kind, line)
		}
	case <-s.Done():
		return nil, errors.Join(s.Err(), errors.New(output.String()))
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-time.After(startTimeout):
		return nil, fmt.Errorf("the server %s is not ready after %s", kind, startTimeout)
	}
	s.profile = func(ctx context.Context, d time.Duration) ([]byte, error) {
		return get(ctx, http.DefaultClient, "http://"+s.Profiles+profilePath(d))
	}
	return s, nil
}

// profilePath is that of a profile, for so long.
func profilePath(d time.Duration) string {
	return fmt.Sprintf("/debug/pprof/profile?seconds=%.0f", d.Seconds())
}

// get is the body at a URL, which must be answered with 200.
func get(ctx context.Context, c *http.Client, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer any")
	response, err := c.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // only read from
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s is answered with %s", url, response.Status)
	}
	return io.ReadAll(response.Body)
}

// firstLine finds the first line that is written, and passes on what follows.
type firstLine struct {
	mutex sync.Mutex
	line  []byte
	done  bool
	found chan string
}

// Write implements io.Writer.
func (f *firstLine) Write(p []byte) (int, error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.done {
		return os.Stderr.Write(p)
	}
	f.line = append(f.line, p...)
	if line, _, whole := bytes.Cut(f.line, []byte("\n")); whole {
		f.done = true
		f.found <- string(line)
	}
	return len(p), nil
}

// String is what was written so far, if no line was whole.
func (f *firstLine) String() string {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return string(f.line)
}
