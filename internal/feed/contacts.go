package feed

import (
	"fmt"
	"io"
	"net/http"
	"path"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
)

// contacts watches over the connection to the API server, beneath the informers: they try
// again by themselves, and for the commonest failure, an API server that is away, they
// tell nobody.
type contacts struct {
	log        logr.Logger
	now        func() time.Time
	byResource map[string]*contact
	failures   *prometheus.CounterVec
}

// contact is the state of one resource's lists and watches.
type contact struct {
	resource string
	// heardAt is when the API server answered a list or a watch, or last said something in a
	// watch, in nanoseconds since 1970; zero: never. It sends a bookmark about every minute, so
	// a longer silence means that changes may be missing.
	heardAt atomic.Int64
	failing atomic.Bool
	failed  prometheus.Counter
}

func newContacts(log logr.Logger, now func() time.Time) *contacts {
	c := &contacts{log: log, now: now, byResource: map[string]*contact{}}
	c.failures = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "claviger_feed_errors_total",
		Help: "Lists and watches that the API server did not answer, by resource.",
	}, []string{"resource"})
	for _, k := range kinds {
		c.byResource[k.resource] = &contact{resource: k.resource, failed: c.failures.WithLabelValues(k.resource)}
	}
	return c
}

// wrap makes a transport that takes note of answers and of failures.
func (c *contacts) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(r)
		contact := c.byResource[path.Base(r.URL.Path)]
		switch {
		case contact == nil || r.Context().Err() != nil:
		case err != nil:
			c.lost(contact, err)
		case response.StatusCode == http.StatusOK:
			c.found(contact)
			response.Body = &listener{response.Body, func() { contact.heardAt.Store(c.now().UnixNano()) }}
		case response.StatusCode != http.StatusGone: // where the informer has to begin anew, as happens
			c.lost(contact, fmt.Errorf("the API server answered %s", response.Status))
		}
		return response, err
	})
}

// lost is told once, however often it is tried in vain.
func (c *contacts) lost(contact *contact, err error) {
	contact.failed.Inc()
	if !contact.failing.Swap(true) {
		c.log.Error(err, "changes cannot be watched; serving what is known, and trying again", "resource", contact.resource)
	}
}

func (c *contacts) found(contact *contact) {
	contact.heardAt.Store(c.now().UnixNano())
	if contact.failing.Swap(false) {
		c.log.Info("changes are watched again", "resource", contact.resource)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// listener is a body that tells when something arrives.
type listener struct {
	io.ReadCloser
	heard func()
}

// Read implements io.Reader.
func (l *listener) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if n > 0 {
		l.heard()
	}
	return n, err
}
