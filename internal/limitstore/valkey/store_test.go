package valkey

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/limitstore"
	"github.com/claviger-dev/claviger/test/valkeyserver"
)

func TestAStoreIsMadeAndServesWithoutItsServer(t *testing.T) {
	h, log := hear()
	s := run(t, Options{URL: "redis://127.0.0.1:1", Log: log})
	a := ask(&limit.Rule{Max: 2, Per: time.Hour})
	for i, want := range []bool{true, true, false} {
		if got := take(t, s, a)[0]; got.Allowed != want || got.Limit != 2 {
			t.Errorf("request %d: %+v", i, got)
		}
	}
	if line := <-h.lines; !strings.Contains(line, "cannot be asked") || !strings.Contains(line, "refused") {
		t.Errorf("logged %s", line)
	}
	if n := s.Verifiers(); n != 1 {
		t.Errorf("%d verifiers", n)
	}
}

// A replica that takes its primary's place is used, where the URL names both.
func TestAReplicaTakesThePlaceOfThePrimary(t *testing.T) {
	t.Parallel()
	primary, replica := valkeyserver.Start(t), valkeyserver.Start(t)
	host, port, _ := net.SplitHostPort(primary.Addr())
	replica.Do("REPLICAOF", host, port)
	wait(t, "the replica has what its primary has", func() bool {
		return strings.Contains(fmt.Sprint(replica.Do("INFO", "replication")), "master_link_status:up")
	})
	h, log := hear()
	s := start(t, Options{URL: "redis://" + replica.Addr() + "," + primary.Addr(), Log: log})
	a := ask(&limit.Rule{Max: 10, Per: time.Hour})
	for range 3 {
		take(t, s, a)
	}
	primary.Kill()
	wait(t, "the outage is noticed", func() bool { return !s.connected() })
	take(t, s, a)
	replica.Do("REPLICAOF", "NO", "ONE")
	waitSettled(t, s)
	if got := used(t, s, a); got != 4 {
		t.Errorf("%d are counted", got)
	}
	if n := len(h.lines); n != 2 {
		t.Errorf("%d lines are logged", n)
	}
}

// A server that becomes a replica refuses to write, and is not asked before it does again.
func TestAServerThatMayNotWriteIsAway(t *testing.T) {
	t.Parallel()
	server, other := valkeyserver.Start(t), valkeyserver.Start(t)
	s := start(t, Options{URL: server.URL()})
	a := ask(&limit.Rule{Max: 10, Per: time.Hour})
	for name, stop := range map[string]func() (start func()){
		"it is a replica": func() func() {
			host, port, _ := net.SplitHostPort(other.Addr())
			server.Do("REPLICAOF", host, port)
			return func() { server.Do("REPLICAOF", "NO", "ONE") }
		},
		"its memory is full": func() func() {
			server.Do("CONFIG", "SET", "maxmemory", "1")
			return func() { server.Do("CONFIG", "SET", "maxmemory", "0") }
		},
		"it does not know this user": func() func() {
			server.Do("ACL", "SETUSER", "default", "-evalsha", "-eval")
			return func() { server.Do("ACL", "SETUSER", "default", "+@all") }
		},
	} {
		waitSettled(t, s)
		start := stop()
		take(t, s, a)
		wait(t, "the outage is noticed where "+name, func() bool { return !s.connected() })
		asked := failures(s)
		for range 20 {
			take(t, s, a)
		}
		if again := failures(s); again != asked {
			t.Errorf("%s: it is asked %d times more", name, again-asked)
		}
		start()
	}
	waitSettled(t, s)
}

func TestWhatIsToldInAnOutageIsToldAfterwards(t *testing.T) {
	t.Parallel()
	server := valkeyserver.Start(t, valkeyserver.AppendOnly())
	for _, outage := range []Outage{OutageLocal, OutageOpen, OutageClosed} {
		s := start(t, Options{URL: server.URL(), Outage: outage})
		budget := ask(&limit.Rule{Kind: limit.Budget, Max: 1000, Calendar: limit.NewCalendar(limit.Monthly, 1, nil)})
		slots := ask(&limit.Rule{Kind: limit.Concurrency, Max: 10, Per: time.Hour})
		slots.Counter.Tag = budget.Counter.Tag
		asks := []Ask{budget, slots}
		ctx, now := context.Background(), time.Now()
		for _, id := range []string{"a", "b", "c"} {
			s.Take(ctx, now, asks, limit.Cost{}, id, nil)
		}
		server.Kill()
		wait(t, "the outage is noticed", func() bool { return !s.connected() })
		s.Charge(ctx, now, asks, limit.Cost{Microcents: 300})
		s.Release(ctx, now, asks, "a")
		if _, err := s.Take(ctx, now, asks, limit.Cost{}, "d", nil); (err != nil) != (outage == OutageClosed) {
			t.Errorf("%v: %v", outage, err)
		}
		s.Charge(ctx, now, asks, limit.Cost{Microcents: 30})
		if _, err := s.Draw(ctx, now, []limitstore.Draw{{Counter: budget.Counter, Rule: budget.Rule, Want: 1}}); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%v: drawn with %v", outage, err)
		}
		if results, err := s.Take(ctx, now, asks, limit.Cost{}, "e", nil); outage == OutageClosed != errors.Is(err, ErrUnavailable) || err == nil && !all(results) {
			t.Errorf("%v: taken with %v, %v", outage, results, err)
		}
		s.Release(ctx, now, asks, "e")
		server.Restart()
		waitSettled(t, s)
		if got := used(t, s, budget); got != 330 {
			t.Errorf("%v: %d are counted", outage, got)
		}
		want := int64(3) // b, c and d
		if outage == OutageClosed {
			want = 2
		}
		// This request is one more.
		if got := used(t, s, slots) - 1; got != want {
			t.Errorf("%v: %d are under way, want %d", outage, got, want)
		}
		s.Close(ctx)
	}
}

func TestVerifiersComeAndGo(t *testing.T) {
	t.Parallel()
	server := valkeyserver.Start(t)
	first := start(t, Options{URL: server.URL()})
	second := start(t, Options{URL: server.URL()})
	for _, s := range []*Store{first, second} {
		wait(t, "both are known", func() bool { return s.Verifiers() == 2 })
	}
	if n := server.Do("ZCARD", "claviger:verifiers"); n != int64(2) {
		t.Errorf("%v are there", n)
	}
	server.Flush()
	if n := first.Verifiers(); n != 2 {
		t.Errorf("when the server is emptied %d are left", n)
	}
	wait(t, "both tell again that they are there", func() bool { return server.Do("ZCARD", "claviger:verifiers") == int64(2) })
	second.Close(context.Background())
	if n := server.Do("ZCARD", "claviger:verifiers"); n != int64(1) {
		t.Errorf("after one has left there are %v", n)
	}
}

func TestMetrics(t *testing.T) {
	server := valkeyserver.Start(t)
	registry := prometheus.NewRegistry()
	s := start(t, Options{URL: server.URL(), Registerer: registry})
	take(t, s, ask(&limit.Rule{Max: 1, Per: time.Hour}))
	server.Kill()
	wait(t, "the outage is noticed", func() bool { return !s.connected() })
	take(t, s, ask(&limit.Rule{Max: 1, Per: time.Hour}))
	const want = `
# HELP claviger_shared_limits_requests_total Questions to the server of the shared limits: answered, failed, or unasked because it is away.
# TYPE claviger_shared_limits_requests_total counter
claviger_shared_limits_requests_total{result="answered"} 1
claviger_shared_limits_requests_total{result="failed"} 0
claviger_shared_limits_requests_total{result="unasked"} 1
# HELP claviger_shared_limits_up Whether all shared limits can be asked for.
# TYPE claviger_shared_limits_up gauge
claviger_shared_limits_up 0
# HELP claviger_shared_limits_verifiers Verifiers that share the limits, as far as is known.
# TYPE claviger_shared_limits_verifiers gauge
claviger_shared_limits_verifiers 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "claviger_shared_limits_requests_total", "claviger_shared_limits_up", "claviger_shared_limits_verifiers"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	if _, err := New(Options{URL: server.URL(), Registerer: registry}); err == nil {
		t.Error("the same metrics are registered twice")
	}
}

// Whatever state the server is in, a store that is closed leaves nothing behind.
func TestAClosedStoreLeavesNothingBehind(t *testing.T) {
	server := valkeyserver.Start(t)
	before := runtime.NumGoroutine()
	for _, state := range []string{"well", "paused", "gone"} {
		var stores []*Store
		for range 3 {
			s, err := New(Options{URL: server.URL(), Timeout: inTime})
			if err != nil {
				t.Fatal(err)
			}
			go s.Run(context.Background())
			stores = append(stores, s)
		}
		if state != "gone" {
			for _, s := range stores {
				wait(t, "the store is connected", s.connected)
			}
		}
		if state == "paused" {
			server.Stop()
		}
		for _, s := range stores {
			take(t, s, ask(&limit.Rule{Max: 1, Per: time.Hour}))
			s.Close(context.Background())
			s.Close(context.Background()) // again
			take(t, s, ask(&limit.Rule{Max: 1, Per: time.Hour}))
		}
		wait(t, "no goroutine of a "+state+" server is left", func() bool { return runtime.NumGoroutine() <= before })
		if state == "paused" {
			server.Continue()
			server.Kill()
		}
	}
}

func TestAStoreRunsOnce(t *testing.T) {
	s := run(t, Options{URL: "redis://127.0.0.1:1"})
	wait(t, "the store runs", s.ran.Load)
	if err := s.Run(context.Background()); err == nil {
		t.Error("it runs twice")
	}
	never, err := New(Options{URL: "redis://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	never.Close(context.Background())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := never.Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestThePasswordIsReadFromAFile(t *testing.T) {
	t.Parallel()
	server := valkeyserver.Start(t, valkeyserver.Password("first"))
	file := filepath.Join(t.TempDir(), "password")
	if _, err := New(Options{URL: server.URL(), PasswordFile: file}); err == nil {
		t.Error("a file that is not there is no error")
	}
	os.WriteFile(file, []byte("first\n"), 0o600)
	s := start(t, Options{URL: server.URL(), PasswordFile: file})
	// Another one is found with the next connection.
	os.WriteFile(file, []byte("second"), 0o600)
	server.Do("CLIENT", "KILL", "TYPE", "normal")
	wait(t, "the outage is noticed", func() bool { return !s.connected() })
	server.Do("CONFIG", "SET", "requirepass", "second")
	wait(t, "the store is connected", s.connected)
}
