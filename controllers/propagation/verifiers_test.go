package propagation

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	testclock "k8s.io/utils/clock/testing"

	"github.com/claviger-dev/claviger/internal/applied"
)

var start = time.Date(2026, time.November, 27, 10, 0, 0, 0, time.UTC)

// verifier is one at an address, which tells what it is set to.
type verifier struct {
	*httptest.Server
	mu     sync.Mutex
	answer http.HandlerFunc
	asked  atomic.Int64
}

// serve starts one at an address and a port, 0 for any.
func serve(t *testing.T, address, port string, answer http.HandlerFunc) *verifier {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(address, port))
	if err != nil {
		t.Skipf("this machine has no %s: %v", address, err)
	}
	v := &verifier{answer: answer}
	v.Server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.asked.Add(1)
		v.mu.Lock()
		answer := v.answer
		v.mu.Unlock()
		answer(w, r)
	})}}
	v.StartTLS()
	t.Cleanup(v.Close)
	return v
}

func (v *verifier) port() string {
	_, port, _ := net.SplitHostPort(v.Listener.Addr().String()) //nolint:errcheck // it is one
	return port
}

func (v *verifier) tells(answer http.HandlerFunc) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answer = answer
}

// has tells that a process has come to a version of the ApiKeys.
func has(id, version string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		report := applied.Report{Verifier: id, Versions: map[string]string{"apikeys": version}}
		json.NewEncoder(w).Encode(report) //nolint:errcheck // a test
	}
}

// verifiers asks those at the port of the first, whose name has the given addresses.
func verifiers(t *testing.T, first *verifier, clock *testclock.FakeClock, addresses ...string) *Verifiers {
	t.Helper()
	dir := t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: first.Certificate().Raw})
	for name, content := range map[string][]byte{"ca.crt": ca, "token": []byte("token")} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	v, err := New(Options{
		VerifierURLs: []string{"https://example.com:" + first.port()}, // a name that httptest's certificate is for
		CAFile:       filepath.Join(dir, "ca.crt"), TokenFile: filepath.Join(dir, "token"),
		Clock: clock, Metrics: prometheus.NewRegistry(), Log: logr.Discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	v.everyone.lookup = func(context.Context, string) (found []netip.Addr, err error) {
		for _, address := range addresses {
			found = append(found, netip.MustParseAddr(address))
		}
		return found, nil
	}
	return v
}

func TestAVersionIsReachedOnceEveryVerifierHasIt(t *testing.T) {
	first := serve(t, "127.0.0.1", "0", has("a", "7"))
	second := serve(t, "127.0.0.2", first.port(), has("b", "6"))
	v := verifiers(t, first, testclock.NewFakeClock(start), "127.0.0.1", "127.0.0.2")
	if all, count := v.Reached("apikeys", "1"); all || count != 0 {
		t.Errorf("before anybody was asked: %v, %d", all, count)
	}
	v.look(t.Context())
	for version, want := range map[string]bool{"5": true, "6": true, "7": false, "no number": false} {
		if all, count := v.Reached("apikeys", version); all != want || count != 2 {
			t.Errorf("version %s: %v of %d, want %v of 2", version, all, count, want)
		}
	}
	if all, _ := v.Reached("secrets", "1"); all {
		t.Error("a resource that nobody has listed is reached")
	}
	second.tells(has("b", "10"))
	v.look(t.Context())
	if all, _ := v.Reached("apikeys", "7"); !all {
		t.Error("not reached though both have it: 10 is more than 7")
	}
	if got := testutil.ToFloat64(v.metrics.verifiers); got != 2 || v.Alone() {
		t.Errorf("the metric says %v verifiers, one alone: %v", got, v.Alone())
	}
}

func TestWhoHoldsARevocationBack(t *testing.T) {
	tests := map[string]struct {
		answer http.HandlerFunc // nil: nobody listens
		all    bool
		count  int
	}{
		"nobody at the address":       {nil, true, 1},
		"one that does not answer":    {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, false, 1},
		"one that answers nonsense":   {func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) }, false, 1}, //nolint:errcheck // a test
		"one that is something else":  {func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("{}")) }, false, 1},     //nolint:errcheck // a test
		"one that knows no such path": {http.NotFound, false, 1},
		"one that was just started":   {has("b", ""), false, 2},
		"one that has it":             {has("b", "8"), true, 2},
		"the same at another address": {has("a", "7"), true, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			first := serve(t, "127.0.0.1", "0", has("a", "7"))
			if test.answer != nil {
				serve(t, "127.0.0.2", first.port(), test.answer)
			}
			v := verifiers(t, first, testclock.NewFakeClock(start), "127.0.0.1", "127.0.0.2")
			v.look(t.Context())
			if all, count := v.Reached("apikeys", "7"); all != test.all || count != test.count {
				t.Errorf("%v of %d, want %v of %d", all, count, test.all, test.count)
			}
			if want := test.all && test.count == 1; v.Alone() != want {
				t.Errorf("alone: %v", v.Alone())
			}
		})
	}
}

func TestNoVerifierAtAllHasReachedNothing(t *testing.T) {
	first := serve(t, "127.0.0.1", "0", has("a", "7"))
	v := verifiers(t, first, testclock.NewFakeClock(start), "127.0.0.1")
	first.Close()
	v.look(t.Context())
	if all, count := v.Reached("apikeys", "1"); all || count != 0 {
		t.Errorf("%v of %d", all, count)
	}
	v.everyone.urls = nil
	v.look(t.Context())
	if all, count := v.Reached("apikeys", "1"); all || count != 0 || v.Alone() {
		t.Errorf("without an address: %v of %d", all, count)
	}
}

func TestANameThatCannotBeLookedUpHoldsBackAndKeepsItsAddresses(t *testing.T) {
	first := serve(t, "127.0.0.1", "0", has("a", "7"))
	clock := testclock.NewFakeClock(start)
	v := verifiers(t, first, clock, "127.0.0.1")
	lookup := v.everyone.lookup
	v.look(t.Context())
	v.everyone.lookup = func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("the DNS is away") }
	clock.Step(resolveEvery)
	v.look(t.Context())
	if all, count := v.Reached("apikeys", "7"); all || count != 1 {
		t.Errorf("%v of %d, want not all of 1", all, count)
	}
	v.everyone.lookup = lookup
	v.look(t.Context())
	if all, count := v.Reached("apikeys", "7"); !all || count != 1 {
		t.Errorf("%v of %d once it can be looked up again", all, count)
	}
}

func TestAVerifierThatIsGoneFromTheNameDoesNotCount(t *testing.T) {
	first := serve(t, "127.0.0.1", "0", has("a", "7"))
	serve(t, "127.0.0.2", first.port(), has("b", "1"))
	clock := testclock.NewFakeClock(start)
	v := verifiers(t, first, clock, "127.0.0.1", "127.0.0.2")
	v.look(t.Context())
	v.everyone.lookup = func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("::ffff:127.0.0.1")}, nil
	}
	clock.Step(resolveEvery)
	v.look(t.Context())
	if all, count := v.Reached("apikeys", "7"); !all || count != 1 || len(v.everyone.clients) != 1 {
		t.Errorf("%v of %d with %d clients", all, count, len(v.everyone.clients))
	}
}

func TestLocalhostIsOneVerifierWhicheverAddressesItHas(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "::1"} {
		t.Run(address, func(t *testing.T) {
			first := serve(t, address, "0", has("a", "7"))
			v := verifiers(t, first, testclock.NewFakeClock(start), "::1", "127.0.0.1")
			v.look(t.Context())
			if all, count := v.Reached("apikeys", "7"); !all || count != 1 {
				t.Errorf("%v of %d", all, count)
			}
		})
	}
}

func TestWhatWasToldLongAgoIsWorthNothing(t *testing.T) {
	first := serve(t, "127.0.0.1", "0", has("a", "7"))
	clock := testclock.NewFakeClock(start)
	v := verifiers(t, first, clock, "127.0.0.1")
	v.look(t.Context())
	clock.Step(freshFor + time.Second)
	if all, _ := v.Reached("apikeys", "7"); all {
		t.Error("reached, though the verifiers of now were not asked")
	}
	clock.Step(2 * idleEvery)
	if v.Alone() {
		t.Error("alone, though nobody looked")
	}
}

func TestVerifiersAreAskedOftenOnlyWhileSomebodyWaits(t *testing.T) {
	first := serve(t, "127.0.0.1", "0", has("a", "7"))
	clock := testclock.NewFakeClock(start)
	v := verifiers(t, first, clock, "127.0.0.1")
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { v.Start(ctx) }) //nolint:errcheck // there is none
	// settled waits until it has done what it does at this moment.
	settled := func() {
		for !clock.HasWaiters() {
			time.Sleep(time.Millisecond)
		}
	}
	pass := func(d time.Duration) {
		for end := clock.Now().Add(d); clock.Now().Before(end); {
			settled()
			clock.Step(lookEvery + lookJitter)
		}
		settled()
	}
	pass(30 * time.Second)
	if asked := first.asked.Load(); asked != 1 {
		t.Errorf("asked %d times while nobody waited, want once", asked)
	}
	v.Reached("apikeys", "8")
	for first.asked.Load() < 2 {
		time.Sleep(time.Millisecond) // being asked wakes it, no clock does
	}
	pass(5 * time.Second)
	if asked := first.asked.Load(); asked < 15 {
		t.Errorf("asked %d times in 5 seconds while somebody waited", asked)
	}
	pass(awaitedFor)
	before := first.asked.Load()
	pass(30 * time.Second)
	if asked := first.asked.Load() - before; asked > 2 {
		t.Errorf("asked %d times in half a minute though nobody waits any more", asked)
	}
	cancel()
	running.Wait()
}

func TestAVerifierOfAnotherAuthorityIsUnknown(t *testing.T) {
	first := serve(t, "127.0.0.1", "0", has("a", "7"))
	v := verifiers(t, first, testclock.NewFakeClock(start), "127.0.0.1")
	v.everyone.urls[0].Host = "elsewhere.invalid:" + first.port() // whom the certificate is not for
	v.look(t.Context())
	if all, count := v.Reached("apikeys", "7"); all || count != 0 || !v.newest.unknown {
		t.Errorf("%v of %d", all, count)
	}
}
