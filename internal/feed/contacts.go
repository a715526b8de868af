package feed

import (
	"fmt"
	"net/http"
	"path"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
)

// contacts watches over the connection to the API server, beneath the reflectors: they try
// again by themselves, and for the commonest failure, an API server that is away, they
// tell nobody.
type contacts struct {
	log        logr.Logger
	clock      clock.PassiveClock
	began      time.Time
	byResource map[string]*contact
	failures   *prometheus.CounterVec
}

// contact is the state of one resource's lists and watches.
type contact struct {
	resource string
	// heard is when a list was taken or a watch last said something that can be understood, in nanoseconds
	// since contacts began; zero: never. That the API server answers is not enough. It is counted on the clock that never jumps. The API
	// server sends a bookmark about every minute, so a longer silence means that changes may be missing.
	heard atomic.Int64
	// following is set between a list that was taken and the beginning of the next: what is said while a list
	// is streamed counts only with its end.
	following atomic.Bool
	failing   atomic.Bool
	failed    prometheus.Counter
}

func newContacts(log logr.Logger, c clock.PassiveClock, resources []string) *contacts {
	// Not quite now, so that it is never zero time since.
	all := &contacts{log: log, clock: c, began: c.Now().Add(-1), byResource: map[string]*contact{}}
	all.failures = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "claviger_feed_errors_total",
		Help: "Lists and watches that the API server did not answer, by resource.",
	}, []string{"resource"})
	for _, name := range resources {
		all.byResource[name] = &contact{resource: name, failed: all.failures.WithLabelValues(name)}
	}
	return all
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
		case response.StatusCode != http.StatusGone: // where the reflector has to begin anew, as happens
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
	if contact.failing.Swap(false) {
		c.log.Info("changes are watched again", "resource", contact.resource)
	}
}

// took is told of a list that was taken.
func (c *contacts) took(contact *contact) {
	contact.following.Store(true)
	c.hear(contact)
}

// told is told of an event or a bookmark.
func (c *contacts) told(contact *contact) {
	if contact.following.Load() {
		c.hear(contact)
	}
}

func (c *contacts) hear(contact *contact) { contact.heard.Store(int64(c.clock.Since(c.began))) }

// age is how long ago a resource was last heard of; false: it never was.
func (c *contacts) age(contact *contact) (time.Duration, bool) {
	heard := contact.heard.Load()
	if heard == 0 {
		return 0, false
	}
	return max(0, c.clock.Since(c.began)-time.Duration(heard)), true
}

// longest is the age of the resource that was not heard of for longest; false: one never was.
func (c *contacts) longest() (longest time.Duration, ok bool) {
	for _, contact := range c.byResource {
		age, ok := c.age(contact)
		if !ok {
			return 0, false
		}
		longest = max(longest, age)
	}
	return longest, true
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
