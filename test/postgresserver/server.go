// Package postgresserver starts real PostgreSQL servers for tests, and does to them what happens to servers: they
// are stopped, killed, paused and started again.
package postgresserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claviger-dev/claviger/test/process"
)

// Only how long a broken test takes: nothing here measures time.
const patience = time.Minute

// Password is that of the server's user, which is claviger.
const Password = "a-password-of-tests"

// Server is one server on the loopback interface. It ends with the test, and with the test's process
// however that ends.
type Server struct {
	t        testing.TB // nil: there is no test
	programs string
	dir      string
	port     int
	as       *syscall.Credential

	mu      sync.Mutex
	process *process.Process
	number  int // of databases that were made
}

// Start starts a server and waits until it answers. The test is skipped where there is no program to start, and
// fails in CI.
func Start(t testing.TB) *Server {
	t.Helper()
	if _, err := find(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	s, err := StartIn(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s.t = t
	t.Cleanup(s.Kill)
	return s
}

// StartIn is Start where there is no test: the server keeps its files in a directory, and whoever started it kills it. What
// goes wrong later panics.
func StartIn(dir string) (*Server, error) {
	programs, err := find()
	if err != nil {
		return nil, err
	}
	s := &Server{programs: programs, dir: dir, as: who()}
	if err := s.initialize(); err != nil {
		return nil, err
	}
	for range 5 { // another process may be quicker to take a port that was free
		s.port = 10000 + rand.IntN(12000) // none that a system gives to outgoing connections
		if err = s.start(); err == nil {
			return s, nil
		}
	}
	s.Kill()
	return nil, err
}

// must ends whoever uses the server where that fails.
func (s *Server) must(err error) {
	switch {
	case err == nil:
	case s.t != nil:
		s.t.Helper()
		s.t.Fatal(err)
	default:
		panic(err)
	}
}

// find is the directory of the programs: CLAVIGER_POSTGRES, or that of the one on the PATH.
func find() (string, error) {
	if dir := os.Getenv("CLAVIGER_POSTGRES"); dir != "" {
		if _, err := exec.LookPath(filepath.Join(dir, "initdb")); err == nil {
			return dir, nil
		}
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", errors.New("this needs PostgreSQL's initdb and postgres: run it with make, which gets them, or set CLAVIGER_POSTGRES to the directory that holds them")
	}
	return filepath.Dir(path), nil
}

// who runs the server: PostgreSQL refuses root.
func who() *syscall.Credential {
	if os.Getuid() != 0 {
		return nil
	}
	const nobody = 65534
	return &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: true}
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) initialize() error {
	password := filepath.Join(s.dir, "password")
	if err := os.WriteFile(password, []byte(Password), 0o644); err != nil {
		return err
	}
	if err := os.Mkdir(s.data(), 0o700); err != nil {
		return err
	}
	if s.as != nil {
		if err := os.Chown(s.data(), int(s.as.Uid), int(s.as.Gid)); err != nil {
			return err
		}
		// Those above it are the test's own, and were made for it alone.
		for dir := s.dir; dir != os.TempDir() && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			os.Chmod(dir, 0o755)
		}
	}
	command := exec.Command(filepath.Join(s.programs, "initdb"), "--pgdata="+s.data(), "--username=claviger", "--pwfile="+password,
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")
	command.Dir = s.data()
	command.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

func (s *Server) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	os.Remove(filepath.Join(s.data(), "postmaster.pid")) // of one that was killed
	var output output
	p, err := process.Start(process.Options{
		Name: "postgres", Path: filepath.Join(s.programs, "postgres"), Output: &output, OnParentDeath: syscall.SIGQUIT, As: s.as,
		Args: []string{
			"-D", s.data(), "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
			// A kill of the server is no power cut, which nobody tests here.
			"-c", "fsync=off", "-c", "synchronous_commit=on", "-c", "max_connections=100", "-c", "log_min_messages=fatal",
		},
	})
	if err != nil {
		return err
	}
	s.process = p
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err = p.WaitReady(ctx, func(ctx context.Context) error {
		connection, err := pgx.Connect(ctx, s.URL("postgres"))
		if err != nil {
			return err
		}
		return connection.Close(ctx)
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, output.String())
	}
	return nil
}

// Addr is where the server listens, a host and a port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL is how to connect to a database.
func (s *Server) URL(database string) string {
	return fmt.Sprintf("postgres://claviger:%s@%s/%s?sslmode=disable", Password, s.Addr(), database)
}

// Database makes an empty database and returns its URL.
func (s *Server) Database() string {
	s.mu.Lock()
	s.number++
	name := fmt.Sprintf("usage_%d", s.number)
	s.mu.Unlock()
	s.Do("postgres", "CREATE DATABASE "+name)
	return s.URL(name)
}

// Do runs a statement in a database.
func (s *Server) Do(database, statement string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	connection, err := pgx.Connect(ctx, s.URL(database))
	s.must(err)
	defer connection.Close(ctx)
	_, err = connection.Exec(ctx, statement)
	s.must(err)
}

// Kill ends the server at once, as a crash would: what is committed stays. It is no error if it has ended.
func (s *Server) Kill() { s.end(syscall.SIGQUIT) }

func (s *Server) end(signal syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return
	}
	syscall.Kill(s.process.PID(), syscall.SIGCONT)
	syscall.Kill(s.process.PID(), signal)
	select {
	case <-s.process.Done():
	case <-time.After(patience):
		s.process.Kill()
	}
	s.process = nil
}

// Restart starts the server again where it was, killing it first if it runs.
func (s *Server) Restart() {
	s.Kill()
	s.must(s.start())
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
