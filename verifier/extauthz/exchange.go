package extauthz

import (
	"net/netip"
	"sync"

	"google.golang.org/grpc/mem"

	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/extauthz/internal/wire"
	"github.com/claviger-dev/claviger/verifier/internal/presented"
)

// exchange is one request at the door, and the answer to it.
//
// Exchanges are used again, as the memory they hold would else be most of what a request costs.
// A key in plain text must not outlive its request there: release clears all that may hold one.
type exchange struct {
	in     wire.Request
	buffer mem.Buffer // what in is a part of; nil: nothing was received

	question     verifier.Request
	allOf, anyOf []string
	values       [wire.RequiredScope + 1][]string
	key          presented.Key
	decision     verifier.Decision

	id     string // of the request; empty: nobody has asked for it yet
	status int    // of HTTP, for the client
	code   string // for the log
	out    wire.Response
	value  []byte // of a header, while it is written
}

var exchanges = sync.Pool{New: func() any { return &exchange{} }}

// maxKept is how many texts an exchange keeps the memory for: enough for nearly all requests.
const maxKept = 64

func kept(list []string) []string {
	if cap(list) > maxKept {
		return nil
	}
	clear(list)
	return list[:0]
}

// release hands the memory on. The exchange must not be used any more.
func (x *exchange) release() {
	x.forget()
	exchanges.Put(x)
}

// forget is the exchange as it was before anything was received.
func (x *exchange) forget() {
	x.in.Reset()
	if x.buffer != nil {
		x.buffer.Free()
		x.buffer = nil
	}
	x.allOf, x.anyOf = kept(x.allOf), kept(x.anyOf)
	for i := range x.values {
		x.values[i] = kept(x.values[i])
	}
	if cap(x.value) > largeMessage {
		x.value = nil
	}
	x.question, x.key, x.decision = verifier.Request{}, presented.Key{}, verifier.Decision{}
	x.id, x.status, x.code, x.out = "", 0, "", wire.Response{}
}

// receive reads a message and holds on to it.
func (x *exchange) receive(data mem.BufferSlice) error {
	if x.buffer != nil {
		x.forget() // of a client that sends two messages where there is one
	}
	x.buffer = data.MaterializeToBuffer(mem.DefaultBufferPool())
	return x.in.Read(x.buffer.ReadOnlyData())
}

// header is the values of a header. They are copies: a part of a question may be kept for longer
// than the message.
func (x *exchange) header(h wire.Header) []string {
	x.values[h] = x.in.AppendValues(x.values[h][:0], h)
	return x.values[h]
}

// ask makes the question that the request is: who asks, and what the route requires.
func (s *Server) ask(x *exchange) (err error) {
	if err := x.readExtensions(); err != nil {
		return err
	}
	for _, value := range x.header(wire.RequiredScope) {
		x.allOf = appendWords(x.allOf, value)
	}
	q := &x.question
	q.Scopes = verifier.Scopes{AllOf: x.allOf, AnyOf: x.anyOf}
	keys := x.header(wire.APIKey)
	if s.queryKey != "" {
		keys = presented.AppendQueryKeys(keys, presented.QueryOf(string(x.in.Path)), s.queryKey)
	}
	if x.key, err = presented.KeyOf(keys, x.header(wire.Authorization), s.foreign); err != nil {
		return err
	}
	q.ID, q.Key = x.requestID(), x.key.Text
	route := [1]string{q.Workspace}
	if q.Workspace, err = presented.WorkspaceOf(route[:], x.header(wire.WorkspaceID), x.header(wire.OrganizationID)); err != nil {
		return err
	}
	q.ClientIP = x.client(s.proxies)
	return nil
}

// client is where the request comes from. Envoy tells its own peer.
func (x *exchange) client(proxies presented.Proxies) netip.Addr {
	peer, err := netip.ParseAddr(string(x.in.Source))
	if err != nil {
		return netip.Addr{} // a socket of Unix, say
	}
	if proxies.None() {
		return proxies.Client(peer, nil)
	}
	return proxies.Client(peer, x.header(wire.ForwardedFor))
}

// requestID is the one that Envoy gave, if it may be repeated, or a new one: the same for the client
// and for the log.
func (x *exchange) requestID() string {
	if x.id != "" {
		return x.id
	}
	sent := ""
	if values := x.header(wire.RequestID); len(values) > 0 {
		sent = values[0]
	} else {
		sent = string(x.in.ID)
	}
	x.id = presented.RequestIDBeside(sent, x.key.Text)
	return x.id
}
