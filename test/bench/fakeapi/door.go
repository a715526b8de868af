package fakeapi

import (
	"net"
	"sync/atomic"
)

// door is a listener that can be shut for a while: who connects then is cut off.
type door struct {
	net.Listener
	shut atomic.Bool
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	for {
		connection, err := d.Listener.Accept()
		if err != nil || !d.shut.Load() {
			return connection, err
		}
		connection.Close() //nolint:errcheck // that is the purpose
	}
}

// GoAway cuts off everybody and lets nobody in until Return.
func (s *Server) GoAway() {
	s.door.shut.Store(true)
	s.http.CloseClientConnections()
}

// Return ends what GoAway began. What changed meanwhile is there to be seen.
func (s *Server) Return() { s.door.shut.Store(false) }
