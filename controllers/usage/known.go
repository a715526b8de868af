package usage

import (
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"
)

const (
	// tellsWithin is the least that a use takes until the feed tells of it, whatever a verifier says: its clock may
	// be a little ahead.
	tellsWithin = time.Second
	// seenWithin is how long a verifier may be in use before it is asked, where there may be others: caches of the DNS
	// keep the addresses of before for half a minute.
	seenWithin = time.Minute
)

// countedUntil is up to when all uses were in the feed, which was read from a moment on; zero: that is not known. Told
// is what the verifier said that it was read from, zero where it said nothing, and of says what they all said before.
func countedUntil(began, told time.Time, of stored, shared bool) time.Time {
	until, latest := of.live, began.Add(-tellsWithin)
	if shared {
		until, latest = of.all, began.Add(-seenWithin)
	}
	if until.IsZero() {
		return until
	}
	for _, bound := range []time.Time{latest, told} {
		if !bound.IsZero() && bound.Before(until) {
			until = bound
		}
	}
	return until
}

// known is until when uses of keys are known from their statuses, as the operator's cache has them.
type known struct {
	// read is up to when all uses were in the feed when it was last read to its end, zero where that is not known;
	// failing says that this was before something failed.
	read    time.Time
	failing bool
	// shared says that these are the uses of all verifiers.
	shared bool
	// unshown are the keys whose status does not show all of that, by UID.
	unshown map[string]*unshown
}

// unshown is a key whose status lacks uses.
type unshown struct {
	// since is a moment before which it shows all; zero: there is none.
	since time.Time
	// version is what the cache must have come to in order to show it; empty: it is yet to be written.
	version string
	// seen is the version that the cache has come to since the feed told of more.
	seen string
	// reread says that only the whole feed tells what it lacks, read from then on; zero: it does not take that.
	reread time.Time
}

func newKnown() known { return known{unshown: map[string]*unshown{}} }

// observed notes that the feed told more of a key than its status shows, which tells of a last use at shown.
// What the status showed before the feed told of more is all that there was when it was read before.
func (k *known) observed(id string, shown time.Time) {
	u := k.unshown[id]
	if u == nil {
		since := shown
		if since.Before(k.read) {
			since = k.read
		}
		k.unshown[id] = &unshown{since: since}
		return
	}
	u.version, u.reread = "", time.Time{}
}

// reread notes that the status of a key lacks something since a moment which only the whole feed tells.
func (k *known) reread(id string, since, now time.Time) {
	if u := k.unshown[id]; u != nil && u.since.Before(since) {
		since = u.since
	}
	k.unshown[id] = &unshown{since: since, reread: now}
}

// shown notes that the status of a key shows all.
func (k *known) shown(id string) { delete(k.unshown, id) }

// written notes that a key's status was, and with which version.
func (k *known) written(id, version string) {
	u := k.unshown[id]
	switch {
	case u == nil:
	case version == "":
		k.shown(id)
	default:
		u.version = version
		k.cached(id, u.seen) // its event may have been faster than the answer
	}
}

// cached notes that the cache has a version of a key.
func (k *known) cached(id, version string) {
	u := k.unshown[id]
	if u == nil || version == "" {
		return
	}
	u.seen = version
	if u.version == "" {
		return
	}
	if order, err := resourceversion.CompareResourceVersion(version, u.version); err != nil || order >= 0 {
		k.shown(id)
	}
}

// complete notes that the feed was read to its end, whole or only what was new, and tells of all before a moment.
func (k *known) complete(began, counted time.Time, whole bool) {
	k.read, k.failing = counted, false
	if !whole {
		return
	}
	for id, u := range k.unshown {
		if !u.reread.IsZero() && !u.reread.After(began) {
			k.shown(id) // the feed has nothing of it
		}
	}
}

// untilOf is until when the uses of one key are known; zero: that is not known.
func (k *known) untilOf(id string) time.Time {
	if k.failing || k.read.IsZero() {
		return time.Time{}
	}
	if u := k.unshown[id]; u != nil && u.since.Before(k.read) {
		return u.since
	}
	return k.read
}

// KnownUntilOf is a moment before which every use of a key, by its ID, shows in its status, as the cache has
// it. It is zero before the feed was read once, while it cannot be read, and unless every verifier tells until when
// it has stored what it counted: silence then says nothing. It stays behind while a verifier cannot store, and while the
// status waits to be written, for what it lacks; other keys that wait do not hold it back.
//
// It is zero too unless the feed is of all verifiers, or there is one alone: what others count is read by nobody.
func (w *WriteBack) KnownUntilOf(id string, alone bool) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !alone && !w.known.shared {
		return time.Time{}
	}
	return w.known.untilOf(id)
}
