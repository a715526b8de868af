package valkey

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"

	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/limitstore"
)

// Only how long a broken test takes: none of them measures time.
const patience = 30 * time.Second

// unhurried is longer than any pause of a busy machine, where a test is about what the server says.
const unhurried = 20 * time.Second

// Most of these tests wait for servers, and not for the processor; and what rapid tries is quick.
func TestMain(m *testing.M) {
	flag.Set("test.parallel", "12")
	flag.Set("rapid.checks", "1000")
	flag.Parse()
	os.Exit(m.Run())
}

// start makes a store, runs it, and waits until it is connected.
func start(t testing.TB, o Options) *Store {
	t.Helper()
	s := run(t, o)
	wait(t, "the store is connected", s.connected)
	return s
}

// run makes a store and runs it.
func run(t testing.TB, o Options) *Store {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = unhurried
	}
	if o.Log.GetSink() == nil {
		o.Log = logr.Discard()
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	go s.Run(context.Background())
	t.Cleanup(func() { s.Close(context.Background()) })
	return s
}

func (s *Store) connected() bool { return s.servers.Load().complete() }

func wait(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("It did not come to this: %s.", what)
		}
	}
}

var counters atomic.Int64

// ask is a counter of a rule that nobody else asks for.
func ask(r *limit.Rule) Ask {
	n := counters.Add(1)
	return Ask{
		Counter: limitstore.Counter{Tag: fmt.Sprintf("workspace-%d", n), Rule: fmt.Sprintf("limit-%d/0", n), Subject: uint64(n)},
		Rule:    r, Known: new(limit.Bucket), Slots: new(limit.Slots),
	}
}

// take asks for one of each, and fails where it cannot be asked.
func take(t testing.TB, s *Store, asks ...Ask) []limit.Result {
	t.Helper()
	results, err := s.Take(context.Background(), time.Now(), asks, limit.Cost{Requests: 1, Microcents: 1}, fmt.Sprint(counters.Add(1)), nil)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// heard collects what is logged.
type heard struct {
	lines chan string
}

func hear() (*heard, logr.Logger) {
	h := &heard{make(chan string, 1000)}
	return h, funcr.New(func(_, args string) { h.lines <- args }, funcr.Options{})
}
