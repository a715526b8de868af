package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/redis/rueidis"

	"github.com/claviger-dev/claviger/test/bench/cpu"
	"github.com/claviger-dev/claviger/test/controlplane"
	"github.com/claviger-dev/claviger/test/process"
)

// redisServer is a Valkey or Redis that keeps nothing on disk.
type redisServer struct {
	*process.Process
	address string
}

// findRedis is the program: in the directory CLAVIGER_REDIS, or on the PATH.
func findRedis() (path string, found bool) {
	for _, name := range []string{"valkey-server", "redis-server"} {
		for _, place := range []string{filepath.Join(os.Getenv("CLAVIGER_REDIS"), name), name} {
			if path, err := exec.LookPath(place); err == nil {
				return path, true
			}
		}
	}
	return "", false
}

// startRedis starts one, by a function that binds to a processor what it starts, and waits until it answers.
func (b *bench) startRedis(ctx context.Context, on func(start func() error) error) (*redisServer, error) {
	path, found := findRedis()
	if !found {
		return nil, fmt.Errorf("there is no valkey-server and no redis-server")
	}
	port, err := controlplane.FreePort()
	if err != nil {
		return nil, err
	}
	r := &redisServer{address: fmt.Sprintf("127.0.0.1:%d", port)}
	err = on(func() (err error) {
		r.Process, err = process.Start(process.Options{
			Name: filepath.Base(path), Path: path, Output: io.Discard, OnParentDeath: syscall.SIGKILL,
			Args: []string{"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", b.dir, "--daemonize", "no", "--save", "", "--appendonly", "no"},
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	b.cleanup(r.Kill)
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return r, r.WaitReady(ctx, func(context.Context) error {
		client, err := r.connect()
		if err == nil {
			client.Close()
		}
		return err
	})
}

// url is that of one of its databases: whoever counts in one knows nothing of the others.
func (r *redisServer) url(database int) string {
	return fmt.Sprintf("redis://%s/%d", r.address, database)
}

// connect connects as a verifier does: one connection that all callers share, on which questions go together as they come.
func (r *redisServer) connect() (rueidis.Client, error) {
	return rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{r.address}, ForceSingleClient: true, AlwaysPipelining: true, PipelineMultiplex: -1,
		DisableRetry: true, DisableCache: true, AlwaysRESP2: true, ClientSetInfo: rueidis.DisableClientSetInfo,
		ReadBufferEachConn: 1 << 16, WriteBufferEachConn: 1 << 16,
	})
}

// counters is how many keys there are in its first database.
func (r *redisServer) counters(ctx context.Context) (int64, error) {
	client, err := r.connect()
	if err != nil {
		return 0, err
	}
	defer client.Close()
	return client.Do(ctx, client.B().Dbsize().Build()).AsInt64()
}

// onLoadCPU starts processes on the processor that is the load's.
func (b *bench) onLoadCPU(start func() error) error {
	if !b.pinned {
		return start()
	}
	return cpu.On(b.loadCPU, start)
}

// anywhere binds what is started to no processor.
func anywhere(start func() error) error { return start() }
