package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/cert"

	"github.com/claviger-dev/claviger/test/bench/cpu"
	"github.com/claviger-dev/claviger/test/controlplane"
	"github.com/claviger-dev/claviger/test/process"
)

// verifierProcess is a running `claviger verifier`, as people run it.
type verifierProcess struct {
	server
	admin string
	// started is how long it took from its start until it was ready.
	started time.Duration
}

// startVerifier starts one that is fed by the API server of config, in a directory of its own,
// and waits until it is ready.
func (b *bench) startVerifier(ctx context.Context, config *rest.Config, dir string, args ...string) (*verifierProcess, error) {
	v := &verifierProcess{}
	for _, address := range []*string{&v.HTTP, &v.GRPC, &v.admin} {
		port, err := controlplane.FreePort()
		if err != nil {
			return nil, err
		}
		*address = fmt.Sprintf("127.0.0.1:%d", port)
	}
	if err := prepare(dir, config); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the process has its own
	start := time.Now()
	v.Process, err = process.Start(process.Options{
		Name: "claviger verifier", Path: b.binary, Output: log, OnParentDeath: syscall.SIGKILL,
		Args: append([]string{"verifier", "--kubeconfig=" + filepath.Join(dir, "kubeconfig"), "--cert-dir=" + dir,
			"--usage-db=" + filepath.Join(dir, "usage.db"), "--listen=" + v.HTTP, "--extauthz-listen=" + v.GRPC, "--admin-listen=" + v.admin,
			"--trusted-proxies=127.0.0.0/8"}, args...),
	})
	if err != nil {
		return nil, err
	}
	b.cleanup(v.Kill)
	if err := v.awaitReady(ctx); err != nil {
		text, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%w; its log ends:\n%s", err, text[max(0, len(text)-2000):])
	}
	v.started = time.Since(start)
	v.profile = func(ctx context.Context, d time.Duration) ([]byte, error) { return v.protected(ctx, profilePath(d)) }
	return v, nil
}

// prepare writes what the process is told by files.
func prepare(dir string, config *rest.Config) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	certificate, key, err := cert.GenerateSelfSignedCertKey("localhost", nil, nil)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "tls.crt"), certificate, 0o600),
		os.WriteFile(filepath.Join(dir, "tls.key"), key, 0o600),
		controlplane.WriteKubeconfig(filepath.Join(dir, "kubeconfig"), config),
	)
}

func (v *verifierProcess) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+v.HTTP+"/readyz", nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			response.Body.Close() //nolint:errcheck // only the status is of interest
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-v.Done():
			return v.Err()
		case <-ctx.Done():
			return fmt.Errorf("the verifier is not ready: %w", ctx.Err())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// memory is what a process occupies.
type memory struct {
	resident, peak int64 // of physical memory, now and at most
	// needed is what of resident would be left if the Go runtime gave back what it keeps for
	// later.
	needed int64
}

// collected makes the process collect its garbage, and tells its memory.
func (v *verifierProcess) collected(ctx context.Context) (memory, error) {
	var kept int64
	for range 2 { // the second takes what finalizers and pools held
		profile, err := v.heapProfile(ctx)
		if err != nil {
			return memory{}, err
		}
		kept = heapStat(profile, "HeapIdle") - heapStat(profile, "HeapReleased")
	}
	resident, peak, err := cpu.Resident(v.PID())
	return memory{resident, peak, resident - kept}, err
}

// heapProfile is as the protected port shows it, after a garbage collection.
func (v *verifierProcess) heapProfile(ctx context.Context) ([]byte, error) {
	return v.protected(ctx, "/debug/pprof/heap?gc=1&debug=1")
}

// protected asks the protected port.
func (v *verifierProcess) protected(ctx context.Context, path string) ([]byte, error) {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // it was started a moment ago, on this machine
	defer transport.CloseIdleConnections()
	return get(ctx, &http.Client{Transport: transport}, "https://"+v.admin+path)
}

// heapStat finds a field of runtime.MemStats in a profile in text.
func heapStat(profile []byte, name string) int64 {
	found := regexp.MustCompile(`(?m)^# ` + name + ` = (\d+)$`).FindSubmatch(profile)
	if found == nil {
		return 0
	}
	n, _ := strconv.ParseInt(string(found[1]), 10, 64)
	return n
}
