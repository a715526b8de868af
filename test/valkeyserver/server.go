// Package valkeyserver starts real Valkey or Redis servers for tests, alone or as a cluster, and does
// to them what happens to servers: they are killed, paused, emptied and started again.
package valkeyserver

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/test/process"
)

// Only how long a broken test takes: nothing here measures time.
const patience = 30 * time.Second

// Server is one server on the loopback interface. It ends with the test, and with the test's process
// however that ends.
type Server struct {
	t       testing.TB
	program string
	port    int
	dir     string
	options options

	mu      sync.Mutex
	process *process.Process
}

type options struct {
	appendOnly bool
	password   string
	cluster    bool
	more       []string
}

// Option changes how a server is started.
type Option func(*options)

// AppendOnly makes a server write down all it is told, so that it has it after a Restart.
func AppendOnly() Option { return func(o *options) { o.appendOnly = true } }

// Password makes a server ask for one.
func Password(password string) Option { return func(o *options) { o.password = password } }

// With adds to the server's configuration, as on its command line.
func With(arguments ...string) Option {
	return func(o *options) { o.more = append(o.more, arguments...) }
}

// Start starts a server and waits until it answers. The test is skipped where there is no program to start, and
// fails in CI.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s := &Server{t: t, program: find(t), dir: t.TempDir()}
	for _, set := range opts {
		set(&s.options)
	}
	t.Cleanup(s.Kill)
	var err error
	for range 5 { // another process may be quicker to take a port that was free
		s.port = freePort(t)
		if err = s.start(); err == nil {
			return s
		}
	}
	t.Fatal(err)
	return nil
}

// Addr is where the server listens, a host and a port.
func (s *Server) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// URL is how to connect to the server, without a password.
func (s *Server) URL() string { return "redis://" + s.Addr() }

// Kill ends the server at once, as a crash would. It is no error if it has ended.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		s.process.Kill()
		s.process = nil
	}
}

// Restart starts the server again where it was, killing it first if it runs. It is empty then,
// but for AppendOnly.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	if err := s.start(); err != nil {
		s.t.Fatal(err)
	}
}

// Stop pauses the server: its connections stay open, and nothing is answered.
func (s *Server) Stop() { s.signal(syscall.SIGSTOP) }

// Continue ends a Stop.
func (s *Server) Continue() { s.signal(syscall.SIGCONT) }

// Flush empties the server.
func (s *Server) Flush() {
	s.t.Helper()
	s.Do("FLUSHALL")
}

func (s *Server) signal(signal syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		syscall.Kill(s.process.PID(), signal)
	}
}

func (s *Server) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var output output
	p, err := process.Start(process.Options{
		Name: "the server", Path: s.program, Args: s.arguments(), Output: &output, OnParentDeath: syscall.SIGKILL,
	})
	if err != nil {
		return err
	}
	s.process = p
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err = p.WaitReady(ctx, func(context.Context) error {
		_, err := s.Ask("PING")
		return err
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, output.String())
	}
	return nil
}

func (s *Server) arguments() []string {
	arguments := []string{
		"--port", fmt.Sprint(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--daemonize", "no",
		"--save", "", "--appendonly", "no", "--loglevel", "warning", "--repl-diskless-sync-delay", "0",
	}
	if s.options.appendOnly {
		arguments = append(arguments, "--appendonly", "yes", "--appendfsync", "always")
	}
	if s.options.password != "" {
		arguments = append(arguments, "--requirepass", s.options.password)
	}
	if s.options.cluster {
		arguments = append(arguments, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000",
			"--cluster-require-full-coverage", "no")
	}
	return append(arguments, s.options.more...)
}

// output keeps what the server prints, which it does from another goroutine.
type output struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.String()
}

// inCI is where tests that are skipped would go unnoticed.
func inCI() bool { return os.Getenv("CI") == "true" }
