package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/usagerecorder"
	"github.com/claviger-dev/claviger/internal/usagestore/sqlite"
	"github.com/claviger-dev/claviger/test/bench/population"
	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/httpapi"
)

// serveIndex is a verifier's doors over an index that was not fed but filled: for more keys
// than are to be had from an API server in a minute.
func serveIndex(listener net.Listener, o childOptions) error {
	keys, err := os.ReadFile(o.Keys)
	if err != nil {
		return err
	}
	index := keyindex.New()
	people := &population.Population{Keys: keys}
	if err := people.Fill(index); err != nil {
		return err
	}
	ctx := context.Background()
	registry := prometheus.NewRegistry()
	store, err := openUsage(ctx, o.UsageDB)
	if err != nil {
		return err
	}
	recorder, err := usagerecorder.New(store, clock.RealClock{}, registry, logr.Discard())
	if err != nil {
		return err
	}
	v, err := verifier.New(verifier.Options{Index: index, Recorder: recorder, Registerer: registry})
	if err != nil {
		return err
	}
	doors, err := httpapi.NewHandler(v, httpapi.Options{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Log: logr.Discard(), Registerer: registry,
	})
	if err != nil {
		return err
	}
	fmt.Println(listening + listener.Addr().String())
	return httpapi.Serve(ctx, listener, doors, time.Second, logr.Discard())
}

func openUsage(ctx context.Context, path string) (usagerecorder.Store, error) {
	if path == "" {
		return discard{}, nil
	}
	return sqlite.Open(ctx, path)
}
