// Package connlimit bounds how many connections are open, in all and from one source, so that
// nobody can keep others out by holding connections that he does not use.
package connlimit

import (
	"net"
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Options are how many connections may be open at once. They must be positive.
type Options struct {
	// Max is how many in all.
	Max int
	// PerSource is how many from one IPv4 address, or one /64 of IPv6 addresses.
	PerSource int
}

// Limiter counts the connections of all listeners that it limits.
type Limiter struct {
	options Options
	refused *prometheus.CounterVec

	mu       sync.Mutex
	open     int
	bySource map[netip.Prefix]int // holds only who has a connection: no more than Max
}

// New makes a Limiter. It fails where its metrics are registered already; with no Registerer
// they are kept from view.
func New(o Options, r prometheus.Registerer) (*Limiter, error) {
	l := &Limiter{
		options: o, bySource: map[netip.Prefix]int{},
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "claviger_connections_refused_total",
			Help: "Connections that were closed at once because too many were open, in all or from their source.",
		}, []string{"limit"}),
	}
	l.refused.WithLabelValues("all")
	l.refused.WithLabelValues("source")
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "claviger_connections_open",
		Help: "Connections that are open at the doors.",
	}, func() float64 {
		l.mu.Lock()
		defer l.mu.Unlock()
		return float64(l.open)
	})
	if r == nil {
		return l, nil
	}
	for _, collector := range []prometheus.Collector{l.refused, open} {
		if err := r.Register(collector); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// Limit makes a listener close at once what is too much. It does not leave it waiting to be
// accepted: a gateway that is refused asks elsewhere, one that waits is stuck.
func (l *Limiter) Limit(listener net.Listener) net.Listener {
	return &limited{Listener: listener, limiter: l}
}

type limited struct {
	net.Listener
	limiter *Limiter
}

// Accept returns the next connection that there is room for.
func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		source := sourceOf(conn.RemoteAddr())
		if limit := l.limiter.enter(source); limit != "" {
			l.limiter.refused.WithLabelValues(limit).Inc()
			reset(conn)
			continue
		}
		return &counted{Conn: conn, leave: sync.OnceFunc(func() { l.limiter.leave(source) })}, nil
	}
}

// enter counts a connection, or names the limit that it is above.
func (l *Limiter) enter(source netip.Prefix) (limit string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.open >= l.options.Max:
		return "all"
	case l.bySource[source] >= l.options.PerSource:
		return "source"
	}
	l.open++
	l.bySource[source]++
	return ""
}

func (l *Limiter) leave(source netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.bySource[source]--; l.bySource[source] == 0 {
		delete(l.bySource, source)
	}
}

// counted is a connection that is counted until it is closed, however often that is.
type counted struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// sourceOf is the network that a connection counts for; where that cannot be told it is the
// zero one.
func sourceOf(address net.Addr) netip.Prefix {
	peer, err := netip.ParseAddrPort(address.String())
	if err != nil {
		return netip.Prefix{}
	}
	ip := peer.Addr().Unmap()
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	source, _ := ip.WithZone("").Prefix(bits) // of so many bits there always is one
	return source
}

// reset closes a connection without keeping its state for a time, as is usual: that too would
// be something to exhaust.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0) //nolint:errcheck // then it is closed in the usual way
	}
	conn.Close() //nolint:errcheck // there is nothing more to do with it
}
