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

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/test/bench/population"
	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/extauthz"
	"github.com/claviger-dev/claviger/verifier/httpapi"
)

var trustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// serveIndex is a verifier's doors over an index that was not fed but filled: for more keys
// than are to be had from an API server in a minute.
func serveIndex(o childOptions) error {
	v, registry, err := filledVerifier(o)
	if err != nil {
		return err
	}
	doors, err := httpapi.NewHandler(v, httpapi.Options{TrustedProxies: trustedProxies, Log: logr.Discard(), Registerer: registry})
	if err != nil {
		return err
	}
	envoy, err := extauthz.New(v, extauthz.Options{TrustedProxies: trustedProxies, Log: logr.Discard(), Registerer: registry})
	if err != nil {
		return err
	}
	return serve(o,
		func(l net.Listener) error {
			return httpapi.Serve(context.Background(), l, doors, time.Second, logr.Discard())
		},
		func(l net.Listener) error { return envoy.Serve(context.Background(), l, time.Second) },
	)
}

// filledVerifier is one with all that a verifier process has, but for the feed and the store
// of usage.
func filledVerifier(o childOptions) (*verifier.Verifier, prometheus.Registerer, error) {
	keys, err := os.ReadFile(o.Keys)
	if err != nil {
		return nil, nil, err
	}
	index := keyindex.New()
	people := &population.Population{Keys: keys}
	if err := people.Fill(index); err != nil {
		return nil, nil, err
	}
	registry := prometheus.NewRegistry()
	recorder, err := recorderOf(o, registry)
	if err != nil {
		return nil, nil, err
	}
	v, err := verifier.New(verifier.Options{Index: index, Recorder: recorder, Registerer: registry})
	return v, registry, err
}

// startIndex starts it with a population.
func (b *bench) startIndex(ctx context.Context, people *population.Population, o childOptions) (*server, error) {
	o.Keys = b.path(fmt.Sprint("keys", people.Keys.Count()))
	if err := os.WriteFile(o.Keys, people.Keys, 0o600); err != nil {
		return nil, err
	}
	return b.startChild(ctx, "index", o)
}
