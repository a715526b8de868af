package connlimit

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"pgregory.net/rapid"
)

// patience is for what the other end has to notice first.
const patience = 30 * time.Second

// listen accepts connections and holds them open.
func listen(t *testing.T, o Options) (*Limiter, string, <-chan net.Conn) {
	t.Helper()
	limiter, err := New(o, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	accepted := make(chan net.Conn, 100)
	go func() {
		for limited := limiter.Limit(listener); ; {
			conn, err := limited.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	return limiter, listener.Addr().String(), accepted
}

func dial(t *testing.T, from, to string) net.Conn {
	t.Helper()
	conn, err := dialFrom(from, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func dialFrom(from, to string) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return dialer.Dial("tcp", to)
}

// refused makes sure that the other end closes a connection, which may be so quick that there
// never is one.
func refused(t *testing.T, from, to string) {
	t.Helper()
	conn, err := dialFrom(from, to)
	if err != nil {
		return
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("a connection above the limit is not closed: %v", err)
	}
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}

func accept(t *testing.T, accepted <-chan net.Conn) net.Conn {
	t.Helper()
	select {
	case conn := <-accepted:
		return conn
	case <-time.After(patience):
		t.Fatal("a connection within the limits is not accepted")
		return nil
	}
}

func TestASourceCannotTakeAllConnections(t *testing.T) {
	limiter, address, accepted := listen(t, Options{Max: 4, PerSource: 2})
	for range 2 {
		dial(t, "127.0.0.1", address)
		accept(t, accepted)
	}
	refused(t, "127.0.0.1", address)
	for range 2 {
		dial(t, "127.0.0.2", address)
		accept(t, accepted)
	}
	refused(t, "127.0.0.3", address)
	for limit, want := range map[string]float64{"source": 1, "all": 1} {
		var metric dto.Metric
		if err := limiter.refused.WithLabelValues(limit).Write(&metric); err != nil {
			t.Fatal(err)
		}
		if got := metric.GetCounter().GetValue(); got != want {
			t.Errorf("%v connections were refused by the limit for %s, want %v", got, limit, want)
		}
	}
}

func TestAClosedConnectionMakesRoomOnce(t *testing.T) {
	limiter, address, accepted := listen(t, Options{Max: 2, PerSource: 2})
	first := dial(t, "127.0.0.1", address)
	held := accept(t, accepted)
	dial(t, "127.0.0.1", address)
	accept(t, accepted)
	held.Close()
	held.Close()
	if _, err := first.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the client of a closed connection reads %v", err)
	}
	dial(t, "127.0.0.1", address)
	accept(t, accepted)
	refused(t, "127.0.0.1", address)
	if limiter.open != 2 {
		t.Errorf("%d connections are counted, want 2", limiter.open)
	}
}

func TestWhoIsOneSource(t *testing.T) {
	for _, test := range []struct{ address, source string }{
		{"192.0.2.1:80", "192.0.2.1/32"},
		{"[::ffff:192.0.2.1]:80", "192.0.2.1/32"},
		{"[2001:db8::1:2:3:4]:80", "2001:db8::/64"},
		{"[fe80::1%lo]:80", "fe80::/64"},
	} {
		if got := sourceOf(named(test.address)); got != netip.MustParsePrefix(test.source) {
			t.Errorf("%s is counted for %v, want %s", test.address, got, test.source)
		}
	}
	if got := sourceOf(named("@")); got != (netip.Prefix{}) {
		t.Errorf("an address that is none is counted for %v", got)
	}
}

type named string

func (named) Network() string  { return "tcp" }
func (n named) String() string { return string(n) }

// Whatever comes and goes, the counts are those of what is open, and nobody who has left is
// remembered.
func TestCountsAreThoseOfWhatIsOpen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Max: rapid.IntRange(1, 8).Draw(t, "max"), PerSource: rapid.IntRange(1, 8).Draw(t, "per source")}
		limiter, err := New(o, prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		open := map[netip.Prefix]int{}
		all := 0
		for range 100 {
			source := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(rapid.IntRange(0, 4).Draw(t, "source"))}), 32)
			if rapid.Bool().Draw(t, "leaves") {
				if open[source] > 0 {
					limiter.leave(source)
					all--
					if open[source]--; open[source] == 0 {
						delete(open, source)
					}
				}
				continue
			}
			room := all < o.Max && open[source] < o.PerSource
			if got := limiter.enter(source) == ""; got != room {
				t.Fatalf("with %d open, %d of them its own, one was let in: %v", all, open[source], got)
			}
			if room {
				all++
				open[source]++
			}
		}
		if limiter.open != all || len(limiter.bySource) != len(open) {
			t.Fatalf("%d are counted of %d sources, want %d of %d", limiter.open, len(limiter.bySource), all, len(open))
		}
	})
}
