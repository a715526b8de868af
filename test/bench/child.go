package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/claviger-dev/claviger/test/process"
)

// childCommand is how this program is started again, as one of the servers below.
const childCommand = "child"

// children serve until they are killed, on a listener that is given to them.
var children = map[string]func(net.Listener, childOptions) error{
	"bare-http":   serveBareHTTP,
	"bare-grpc":   serveBareGRPC,
	"index":       serveIndex,
	"index-envoy": serveIndexToEnvoy,
}

// childOptions are all that children are told.
type childOptions struct {
	// Answers of the bare servers: files with what a verifier answered, by path or method.
	Answers map[string]string `json:",omitempty"`
	// Keys is a file with the keys of the index, and UsageDB where usage is to be counted; empty: nowhere.
	Keys, UsageDB string `json:",omitempty"`
	// Ballast is memory that is allocated and not used, in bytes: with more of it the garbage
	// collector runs less often.
	Ballast int `json:",omitempty"`
}

// listening is what a child prints once it serves, before its address.
const listening = "listening on "

func runChild(args []string) error {
	serve, ok := children[args[0]]
	var o childOptions
	if !ok || len(args) != 2 || json.Unmarshal([]byte(args[1]), &o) != nil {
		return errors.New("make bench starts this by itself")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ballast := make([]byte, o.Ballast)
	err = serve(listener, o)
	ballast = ballast[:0]
	return err
}

// child is a server of this program.
type child struct {
	*process.Process
	address string
}

// startChild starts a server on the servers' processor, and waits until it serves.
func (b *bench) startChild(ctx context.Context, kind string, o childOptions) (*child, error) {
	arguments, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	output := &firstLine{found: make(chan string, 1)}
	var p *process.Process
	err = b.onServerCPU(func() (err error) {
		p, err = process.Start(process.Options{
			Name: kind, Path: self, Args: []string{childCommand, kind, string(arguments)},
			Output: output, OnParentDeath: syscall.SIGKILL,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	b.cleanup(p.Kill)
	select {
	case line := <-output.found:
		if address, ok := strings.CutPrefix(line, listening); ok {
			return &child{p, address}, nil
		}
		return nil, fmt.Errorf("the server %s says: %s", kind, line)
	case <-p.Done():
		return nil, p.Err()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-time.After(startTimeout):
		return nil, fmt.Errorf("the server %s is not ready after %s", kind, startTimeout)
	}
}

const startTimeout = 2 * time.Minute

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
