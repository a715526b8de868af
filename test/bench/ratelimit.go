package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	commonratelimit "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/protobuf/proto"

	"github.com/claviger-dev/claviger/test/bench/load"
	"github.com/claviger-dev/claviger/test/bench/population"
	"github.com/claviger-dev/claviger/test/controlplane"
	"github.com/claviger-dev/claviger/test/process"
)

// findRatelimit is envoyproxy/ratelimit, in the directory CLAVIGER_RATELIMIT.
func findRatelimit() (path string, found bool) {
	path, err := exec.LookPath(filepath.Join(os.Getenv("CLAVIGER_RATELIMIT"), "ratelimit"))
	return path, err == nil && os.Getenv("CLAVIGER_RATELIMIT") != ""
}

// ratelimitConfig gives each key an allowance of its own.
var ratelimitConfig = fmt.Sprintf(`domain: claviger
descriptors:
- key: api_key
  rate_limit: {unit: minute, requests_per_unit: %d}
`, neverReached)

// startRatelimit starts it on the servers' processor with some settings, and waits until it serves.
func (b *bench) startRatelimit(ctx context.Context, path string, redis *redisServer, settings ...string) (*server, error) {
	root, err := os.MkdirTemp(b.dir, "ratelimit-")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(root, "config"), 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(root, "config", "limits.yaml"), []byte(ratelimitConfig), 0o600); err != nil {
		return nil, err
	}
	var ports [3]int
	for i := range ports {
		if ports[i], err = controlplane.FreePort(); err != nil {
			return nil, err
		}
	}
	log, err := os.Create(filepath.Join(root, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the process has its own
	s := &server{addresses: addresses{HTTP: local(ports[0]), GRPC: local(ports[1]), Profiles: local(ports[2])}}
	err = b.onServerCPU(func() (err error) {
		s.Process, err = process.Start(process.Options{
			Name: "ratelimit", Path: path, Output: log, OnParentDeath: syscall.SIGKILL, Env: append(ratelimitPlaces(root, redis, ports), settings...),
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	b.cleanup(s.Kill)
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = s.WaitReady(ctx, func(ctx context.Context) error {
		_, err := get(ctx, http.DefaultClient, "http://"+s.HTTP+"/healthcheck")
		return err
	})
	if err != nil {
		text, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%w; its log ends:\n%s", err, text[max(0, len(text)-2000):])
	}
	s.profile = func(ctx context.Context, d time.Duration) ([]byte, error) {
		return get(ctx, http.DefaultClient, "http://"+s.Profiles+profilePath(d))
	}
	return s, nil
}

func local(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// ratelimitPlaces tell it where everything is. What it counts it tells nobody.
func ratelimitPlaces(root string, redis *redisServer, ports [3]int) []string {
	return []string{
		"HOST=127.0.0.1", fmt.Sprint("PORT=", ports[0]),
		"GRPC_HOST=127.0.0.1", fmt.Sprint("GRPC_PORT=", ports[1]),
		"DEBUG_HOST=127.0.0.1", fmt.Sprint("DEBUG_PORT=", ports[2]),
		"RUNTIME_ROOT=" + root, "RUNTIME_WATCH_ROOT=false", "USE_STATSD=false",
		"REDIS_SOCKET_TYPE=tcp", "REDIS_TYPE=single", "REDIS_URL=" + redis.address,
	}
}

// connectToRatelimit connects to ask whether a key may make one more request.
func connectToRatelimit(s *server, records load.Records) (connect, error) {
	encoded, err := proto.Marshal(&ratelimitv3.RateLimitRequest{
		Domain: "claviger",
		Descriptors: []*commonratelimit.RateLimitDescriptor{{
			Entries: []*commonratelimit.RateLimitDescriptor_Entry{{Key: "api_key", Value: field(records, population.AtKey)}},
		}},
	})
	if err != nil {
		return nil, err
	}
	question := &load.GRPC{Address: s.GRPC, Method: ratelimitv3.RateLimitService_ShouldRateLimit_FullMethodName, Message: load.Template{Bytes: encoded}}
	if err := fill(&question.Message, records, population.AtKey); err != nil {
		return nil, err
	}
	if question.Reply, err = proto.Marshal(&ratelimitv3.RateLimitResponse{OverallCode: ratelimitv3.RateLimitResponse_OK}); err != nil {
		return nil, err
	}
	return func() (load.Peer, error) { return question.Connect(records.At(0)) }, nil
}
