package outage

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// cable is the verifier's way to the API server, and can be cut: others still reach it.
type cable struct {
	to      string
	address string

	mu       sync.Mutex
	listener net.Listener
	open     []net.Conn
}

func newCable(t *testing.T, host string) *cable {
	t.Helper()
	to, err := url.Parse(host)
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{to: to.Host, address: "127.0.0.1:0"}
	c.mend(t)
	t.Cleanup(c.cut)
	return c
}

// mend lets connections be made, at the same address as before.
func (c *cable) mend(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", c.address)
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listener, c.address = listener, listener.Addr().String()
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			go c.carry(listener, from)
		}
	}()
}

func (c *cable) carry(by net.Listener, from net.Conn) {
	defer from.Close()
	to, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer to.Close()
	c.mu.Lock()
	if c.listener != by {
		c.mu.Unlock()
		return
	}
	c.open = append(c.open, from, to)
	c.mu.Unlock()
	go func() {
		io.Copy(to, from)
		to.Close()
	}()
	io.Copy(from, to)
}

// cut ends all connections and lets none be made.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.listener == nil {
		return
	}
	c.listener.Close()
	for _, connection := range c.open {
		connection.Close()
	}
	c.listener, c.open = nil, nil
}
