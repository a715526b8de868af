package feed

import (
	"fmt"
	"math"
	"strings"
	"time"
)

const (
	// forever is how stale something is of which nobody knows.
	forever = time.Duration(math.MaxInt64)
	// clockTolerance is how far ahead a time may be that was written before a restart. If it is further,
	// the clock is wrong or was, and the time says nothing.
	clockTolerance = time.Minute
	// quiet is a silence that is not worth a word.
	quiet = 2 * time.Minute
)

// live says whether the whole index is from the API server.
func (f *Feed) live() bool { return f.synced.Load() || len(f.missing()) == 0 }

// missing are the kinds that the API server has not listed yet.
func (f *Feed) missing() (missing []string) {
	for _, p := range f.parts {
		if !p.live() {
			missing = append(missing, p.name)
		}
	}
	if len(missing) == 0 {
		f.synced.Store(true)
	}
	return missing
}

// Applied are the resource versions up to which everything is in the index, by the name of the resource. Those
// that the API server has not listed yet, as what is known of them is from a snapshot, are missing.
func (f *Feed) Applied() map[string]string {
	versions := make(map[string]string, len(f.parts))
	for _, p := range f.parts {
		if version := p.applied(); version != nil {
			versions[p.name] = *version
		}
	}
	return versions
}

// staleness is how long ago the API server was last heard of, for the kind of which it was not heard for
// longest; before it ever was, what the snapshot says. It is counted on the monotonic clock: one that is set
// does not make the index stale.
func (f *Feed) staleness() time.Duration {
	if f.live() {
		if age, ok := f.age(); ok {
			return age
		}
		return forever
	}
	r := f.restored.Load()
	if r == nil || r.age == forever {
		return forever
	}
	return r.age + max(0, f.clock.Since(r.at))
}

// age is how old the oldest is of what the index has from the API server: a change that waits for its turn is as if
// it had not been heard of. False: something was never heard of.
func (f *Feed) age() (time.Duration, bool) {
	age, ok := f.contacts.longest()
	return max(age, f.queue.oldest()), ok
}

// Ready says why the index must not be believed: neither the API server nor a snapshot has told
// all that there is, or that is longer ago than is allowed. While the API server is away
// nothing is taken back but for that.
func (f *Feed) Ready() error {
	if !f.live() && f.restored.Load() == nil {
		return fmt.Errorf("waiting for the API server to list %s", strings.Join(f.missing(), ", "))
	}
	if f.maxStaleness == 0 {
		return nil
	}
	if age := f.staleness(); age > f.maxStaleness {
		return fmt.Errorf("the API server has not answered for %s, and --max-staleness allows %s; waiting for it", since(age), f.maxStaleness)
	}
	return nil
}

// Note is what to know of a feed that is ready; empty: all is as it should be.
func (f *Feed) Note() string {
	age := f.staleness()
	if f.live() {
		if age < quiet {
			return ""
		}
		return fmt.Sprintf("the API server has not answered for %s", since(age))
	}
	r := f.restored.Load()
	if r == nil {
		return ""
	}
	taken := r.contact.UTC().Format(time.RFC3339)
	if held := f.held.Load(); held != nil {
		if missing := held.missing(); 0 < len(missing) && len(missing) < len(resources) {
			return fmt.Sprintf("serving from a snapshot of %s, and what was taken back since; the API server has not listed %s", taken, strings.Join(missing, ", "))
		}
	}
	return fmt.Sprintf("serving from a snapshot of %s; the API server has not answered for %s", taken, since(age))
}

func since(age time.Duration) string {
	if age == forever {
		return "an unknown time"
	}
	return age.Truncate(time.Second).String()
}
