package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/claviger-dev/claviger/test/controlplane"
)

const (
	apiPort      = "api"
	webhookPort  = "webhook"
	healthPort   = "health"
	metricsPort  = "metrics"
	verifierPort = "verifier"
	extauthzPort = "extauthz"
	adminPort    = "admin"
	probesPort   = "probes"
)

// portNames are what flags are called after, and what listens there.
var portNames = map[string]string{
	apiPort:      "the API server",
	webhookPort:  "the operator's webhook",
	healthPort:   "the operator's health checks",
	metricsPort:  "the operator's metrics",
	verifierPort: "the verifier's doors",
	extauthzPort: "the verifier's door for Envoy",
	adminPort:    "the verifier's metrics and usage",
	probesPort:   "the verifier's health checks",
}

// What a killed run had started ends by itself, and gives its ports back.
const portPatience = 10 * time.Second

// choosePorts takes those that flags demand, else those of the last run, so that commands
// and clients of yesterday still work, else free ones.
func choosePorts(ctx context.Context, opts options, leftByCrash bool) (map[string]int, error) {
	file := filepath.Join(opts.dir, "ports.json")
	ports, err := readPorts(file)
	if err != nil {
		return nil, err
	}
	used := map[int]string{}
	for _, name := range demandedFirst(opts.ports) {
		if demanded := *opts.ports[name]; demanded != 0 {
			if other := used[demanded]; other != "" {
				return nil, fmt.Errorf("--%s-port and --%s-port are the same: give them two", other, name)
			}
			ports[name] = demanded
		}
		if leftByCrash {
			waitUntilFree(ctx, ports[name])
		}
		switch {
		case ports[name] != 0 && used[ports[name]] == "" && isFree(ports[name]):
		case *opts.ports[name] != 0:
			return nil, fmt.Errorf("port %d is taken: give --%s-port another, or none", ports[name], name)
		default:
			if ports[name], err = freePort(used); err != nil {
				return nil, err
			}
		}
		used[ports[name]] = name
	}
	content, err := json.MarshalIndent(ports, "", "  ")
	if err != nil {
		return nil, err
	}
	return ports, os.WriteFile(file, append(content, '\n'), 0o600)
}

// demandedFirst orders the names so that no port is given away that a flag demands.
func demandedFirst(demanded map[string]*int) []string {
	names := slices.Sorted(maps.Keys(portNames))
	slices.SortStableFunc(names, func(a, b string) int {
		return cmp.Compare(min(1, *demanded[b]), min(1, *demanded[a]))
	})
	return names
}

func freePort(used map[int]string) (int, error) {
	for {
		port, err := controlplane.FreePort()
		if err != nil || used[port] == "" {
			return port, err
		}
	}
}

func readPorts(file string) (map[string]int, error) {
	ports := map[string]int{}
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return ports, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(content, &ports); err != nil {
		// Written while the machine went down, perhaps. Others will do.
		return map[string]int{}, nil //nolint:nilerr // see above
	}
	return ports, nil
}

func waitUntilFree(ctx context.Context, port int) {
	ctx, cancel := context.WithTimeout(ctx, portPatience)
	defer cancel()
	for port != 0 && !isFree(port) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func isFree(port int) bool {
	listener, err := net.Listen("tcp", loopback(port))
	return err == nil && listener.Close() == nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
