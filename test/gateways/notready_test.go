package gateways

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/claviger-dev/claviger/internal/keyindex"
	verifierlib "github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/extauthz"
	"github.com/claviger-dev/claviger/verifier/httpapi"
)

// saysNotReady puts doors that are not ready in the verifier's place: a process with a directory
// of keys always is.
func (s *site) saysNotReady(t *testing.T) {
	s.verifier.process.Kill()
	notReady := func() error { return errors.New("the test says so") }
	v, err := verifierlib.New(verifierlib.Options{Index: keyindex.New()})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := httpapi.NewHandler(v, httpapi.Options{Ready: notReady})
	if err != nil {
		t.Fatal(err)
	}
	envoys, err := extauthz.New(v, extauthz.Options{Ready: notReady, Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	serve(t, s.verifier.address, func(ctx context.Context, listener net.Listener) error {
		return httpapi.Serve(ctx, listener, handler, time.Second, logr.Discard())
	})
	serve(t, s.verifier.grpcAddress, func(ctx context.Context, listener net.Listener) error {
		return envoys.Serve(ctx, listener, time.Second)
	})

	// A gateway may take a moment to see that the verifier is there again.
	var r response
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		r = s.send(t, request{headers: bearing(s.verifier.keys[keyGood])})
		if r.StatusCode == http.StatusServiceUnavailable && r.Header.Get("Retry-After") != "" || time.Now().After(deadline) {
			break
		}
	}
	if p := r.problem(t); r.StatusCode != http.StatusServiceUnavailable || p.Code != "NOT_READY" {
		t.Errorf("status %d, Retry-After %q: %+v", r.StatusCode, r.Header["Retry-After"], p)
	}
	if n := len(s.upstream.take()); n != 0 {
		t.Errorf("%d requests reached the service", n)
	}
}

// serve serves until the test has ended.
func serve(t *testing.T, address string, run func(context.Context, net.Listener) error) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		run(ctx, listener)
	}()
	t.Cleanup(func() {
		cancel()
		<-served
	})
}
