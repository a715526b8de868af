package valkey

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// connection is one connection to one server, from when it was made until something goes wrong with
// it. It is never mended: what is under way ends with it, and the next one is made behind the
// back of requests.
type connection struct {
	client rueidis.Client
	watch  watch

	over   atomic.Bool
	once   sync.Once
	failed chan struct{} // closed when it is over
	cause  error         // why it is over; read it only after failed is closed

	password string
	dialed   atomic.Bool
	conn     net.Conn    // without TLS, whose end could take long; nil before it was dialed
	unharmed func() bool // from when this was called the end of a context ends it no more
}

// dialTimeout is how long it may take to connect and to log in, for which no request waits.
const dialTimeout = 2 * time.Second

var (
	errOver = errors.New("the connection was closed")
	errLate = errors.New("the server does not answer in time")
)

// open connects to a server and logs in.
func (s *Store) open(ctx context.Context, server string) (*connection, error) {
	password, err := s.options.password(s.target.password)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c := &connection{failed: make(chan struct{}), password: password, unharmed: func() bool { return true }}
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{server},
		Username:    s.target.user,
		Password:    password,
		SelectDB:    s.target.db,
		TLSConfig:   s.target.tlsFor(server),
		Dialer:      net.Dialer{KeepAlive: -1}, // heartbeats do that
		DialCtxFn: func(_ context.Context, server string, dialer *net.Dialer, config *tls.Config) (net.Conn, error) {
			return c.dial(ctx, server, dialer, config)
		},
		ConnWriteTimeout: dialTimeout,
		// A cluster is followed by Store itself, so that a member that is away does not hold up requests
		// for the others.
		ForceSingleClient: true,
		// All requests share one connection, and go together as they come.
		AlwaysPipelining:  true,
		PipelineMultiplex: -1,
		// A request whose answer was lost may have been counted: asking again could count it twice.
		DisableRetry:        true,
		DisableCache:        true,
		AlwaysRESP2:         true, // see guard
		ClientSetInfo:       rueidis.DisableClientSetInfo,
		ReadBufferEachConn:  1 << 16,
		WriteBufferEachConn: 1 << 16,
	})
	if !c.unharmed() {
		err = errors.Join(err, context.Cause(ctx))
	}
	if err != nil {
		c.fail(err)
		if client != nil {
			client.Close()
		}
		return nil, redacted{err, password}
	}
	c.client = client
	go func() {
		<-c.failed
		client.Close()
	}()
	return c, nil
}

// dial dials once: where the client library would connect anew, the connection is over.
func (c *connection) dial(ctx context.Context, server string, dialer *net.Dialer, config *tls.Config) (net.Conn, error) {
	if c.dialed.Swap(true) {
		return nil, errOver
	}
	conn, err := dialer.DialContext(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	c.conn = conn
	c.unharmed = context.AfterFunc(ctx, func() { c.conn.Close() }) //nolint:errcheck // it is over anyway
	if config != nil {
		conn = tls.Client(conn, config) // shakes hands when it is first written to
	}
	return &guard{Conn: conn, closed: c.fail}, nil
}

// fail ends the connection. Whoever waits for an answer is told so, and nobody new gets to wait.
func (c *connection) fail(err error) {
	c.once.Do(func() {
		c.cause = redacted{err, c.password}
		c.over.Store(true)
		close(c.failed)
		if c.conn != nil {
			c.conn.Close() //nolint:errcheck // it is over anyway
		}
	})
}

// do asks, and waits for the answer or until the connection is over, for which supervise sees.
func (c *connection) do(ask func(rueidis.Client) rueidis.RedisResult) rueidis.RedisResult {
	place := c.watch.begin()
	answer := ask(c.client)
	c.watch.end(place)
	return answer
}
