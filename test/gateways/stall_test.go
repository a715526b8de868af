package gateways

import (
	"net"
	"sync/atomic"
	"time"
)

// stallable accepts connections on which, while stalled, nothing is heard and nothing answered,
// whatever the protocol.
type stallable struct {
	net.Listener
	stalled *atomic.Bool
}

func (l stallable) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return stallableConn{conn, l.stalled}, nil
}

type stallableConn struct {
	net.Conn
	stalled *atomic.Bool
}

func (c stallableConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	for err == nil && c.stalled.Load() {
		time.Sleep(10 * time.Millisecond)
	}
	return n, err
}
