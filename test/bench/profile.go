package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/claviger-dev/claviger/test/bench/load"
	"github.com/claviger-dev/claviger/test/bench/stats"
)

// profileTime is for how long a server is profiled.
const profileTime = 3 * time.Second

// loaded is a server, and the load that it was measured with.
type loaded struct {
	name   string
	server *server
	load   *load.Load
}

// profileAll repeats what was measured and takes profiles, if that was asked for. It comes
// after the measurement, as it costs time itself.
func (b *bench) profileAll(ctx context.Context) error {
	defer func() { b.measured = nil }()
	if b.profiles == "" {
		return nil
	}
	for _, m := range b.measured {
		asked := make(chan error, 1)
		go func() {
			_, _, err := m.load.Saturate(profileTime + time.Second)
			asked <- err
		}()
		profile, err := m.server.profile(ctx, profileTime)
		if err := errors.Join(err, <-asked); err != nil {
			return err
		}
		if err := os.WriteFile(b.profileFile(m.name), profile, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// profileHere is the same for what is measured in this process.
func (b *bench) profileHere(name string, side stats.Side) error {
	if b.profiles == "" {
		return nil
	}
	file, err := os.Create(b.profileFile(name))
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return err
	}
	for start := time.Now(); time.Since(start) < profileTime && err == nil; {
		_, err = side.Measure()
	}
	pprof.StopCPUProfile()
	return errors.Join(err, file.Close())
}

func (b *bench) profileFile(name string) string {
	return filepath.Join(b.profiles, strings.NewReplacer(" ", "-", "/", "-", ",", "").Replace(name)+".pprof")
}
