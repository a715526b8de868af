package serve

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
)

// patience is for what other goroutines have to do first.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	// client-go tells at length that there is no API server.
	klog.SetLogger(logr.Discard())
	os.Exit(m.Run())
}

// unreachable is an API server that is away.
func unreachable(t *testing.T) Options {
	t.Helper()
	return Options{
		Config:    &rest.Config{Host: "https://" + freeAddress(t)},
		Namespace: "claviger-system",
		Listen:    freeAddress(t), AdminListen: freeAddress(t),
		CertDir: t.TempDir(), UsageDB: filepath.Join(t.TempDir(), "usage.db"),
		ShutdownTimeout: patience, Log: logr.Discard(),
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // a test
	return listener.Addr().String()
}

func TestWhileTheAPIServerIsAwayNoKeyIsCalledInvalid(t *testing.T) {
	options := unreachable(t)
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, options) }()
	for deadline := time.Now().Add(patience); status(options, "GET", "/healthz") != http.StatusOK; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the verifier does not listen")
		}
	}
	for _, question := range []struct{ method, path string }{
		{"GET", "/readyz"}, {"GET", "/v1/auth"}, {"POST", "/v1/verify"},
	} {
		if got := status(options, question.method, question.path); got != http.StatusServiceUnavailable {
			t.Errorf("%s was answered with %d, want 503", question.path, got)
		}
	}
	end()
	if err := <-ended; err != nil {
		t.Errorf("asked to end, it ended with %v", err)
	}
}

func status(options Options, method, path string) int {
	request, err := http.NewRequest(method, "http://"+options.Listen+path, strings.NewReader(`{"key":"ak_live_0"}`))
	if err != nil {
		return 0
	}
	request.Header.Set("X-API-Key", "ak_live_0")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	response.Body.Close() //nolint:errcheck // a test
	return response.StatusCode
}

func TestWhatKeepsTheVerifierFromStartingSaysWhatToDo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close() //nolint:errcheck // a test
	garbage := filepath.Join(t.TempDir(), "usage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		change func(*Options)
		says   string
	}{
		"the doors' port is taken":      {func(o *Options) { o.Listen = taken.Addr().String() }, "--listen"},
		"the door for Envoy is taken":   {func(o *Options) { o.ExtAuthzListen = taken.Addr().String() }, "--extauthz-listen"},
		"the protected port is taken":   {func(o *Options) { o.AdminListen = taken.Addr().String() }, "--admin-listen"},
		"the usage is no database":      {func(o *Options) { o.UsageDB = garbage }, "move it"},
		"the usage cannot be put there": {func(o *Options) { o.UsageDB = filepath.Join(garbage, "usage.db") }, "--usage-db"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			options := unreachable(t)
			test.change(&options)
			if err := Run(context.Background(), options); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("the error is %v, want %q in it", err, test.says)
			}
		})
	}
}
