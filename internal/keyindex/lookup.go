package keyindex

import (
	"runtime"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/limitstore/local"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/token"
)

// Entry is what the index knows of a key at the moment of a lookup. What it points to must
// not be changed.
type Entry struct {
	policy.Record
	// Foreign says that the credential is that of a key which was brought along.
	Foreign bool
	// Limits hold for the key.
	Limits  []Limit
	buckets *local.Store
	subject local.Subject
}

// Subject is whose requests a limit of the entry counts.
func (e *Entry) Subject(i int) local.Subject {
	if shared := e.Limits[i].shared; shared != 0 {
		return shared
	}
	return e.subject
}

// Attached is a limit of the entry with where its requests are counted in this process.
func (e *Entry) Attached(i int) limit.Attached {
	l := &e.Limits[i]
	if l.Kind == limit.Concurrency {
		return limit.Attached{Rule: &l.Rule.Rule, Slots: e.buckets.Slots(l.Counter, e.Subject(i))}
	}
	return limit.Attached{Rule: &l.Rule.Rule, Bucket: e.buckets.Bucket(l.Counter, e.Subject(i))}
}

// Lookup finds a key by its hash, as all that it is joined from was at one moment. A hash
// whose ApiKey is not declared is not found, and then the entry is not touched.
func (x *Index) Lookup(hash token.Hash, e *Entry) (found bool) {
	words := hashWords(&hash)
	for try := 1; ; try++ {
		found, settled := x.look(&words, e)
		if settled {
			return found
		}
		if try%patience == 0 {
			runtime.Gosched() // a writer was interrupted amid a record, and needs a processor to end
		}
	}
}

// Find finds a key by its ID, whatever its state and its end: the entry tells what limits hold for it, and
// whom it belongs to. It may wait for a writer. A key whose Workspace or ServiceAccount is gone is not found.
func (x *Index) Find(id keyid.ID, e *Entry) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	number, _ := x.byUID.find(id, x.idOf)
	if number == 0 {
		return false
	}
	k := x.keys.at(number)
	if k.profile() == 0 {
		return false
	}
	c := x.profiles.at(k.profile()).Load()
	e.Key = policy.Key{ID: id, State: k.state()}
	e.Key.Name, e.Key.DisplayName = read(*x.names.blocks.Load(), k.place())
	e.Class, e.Workspace, e.Account = &c.class, c.workspace.value.Load(), c.accountValue()
	e.Limits, e.buckets, e.subject = c.limits, c.buckets, k.subject()
	return e.Workspace != nil && (c.class.Account == "" || e.Account != nil)
}

// So often a lookup begins anew before it lets others go first.
const patience = 100

// look probes for a hash. It is not settled where a writer was at what it read.
func (x *Index) look(words *[4]uint64, e *Entry) (found, settled bool) {
	t := x.table.Load()
	for i := t.home(words[0]); ; i = t.after(i) {
		slot := t.slots[i].Load()
		if slot == empty {
			return false, t == x.table.Load()
		}
		if !matches(slot, words[0]) {
			continue
		}
		c := x.credentials.at(uint32(slot))
		version, key, whole := c.load()
		is := c.hashIs(words)
		switch {
		case !whole || version != c.word.Load():
			return false, false
		case !is || key == 0:
			continue // half of a word was the same, or the credential has gone
		}
		return x.join(c, version, key, e)
	}
}

// join joins a credential with what it points to. Everything is looked at twice, and where
// something changed meanwhile it is not settled: a slow reader could else join scopes of before with a
// Workspace that was resumed only after they had been narrowed.
func (x *Index) join(c *credentialRecord, version uint64, key uint32, e *Entry) (found, settled bool) {
	issued, notAfter, generation, foreign := c.issuedAt(), c.approvedEnd(), c.generation(), c.foreign()
	k := x.keys.at(key)
	keyVersion, profile, whole := k.load()
	id, place, stated, state, subject := k.id(), k.place(), k.statedEnd(), k.state(), k.subject()
	if !whole || c.word.Load() != version || k.word.Load() != keyVersion {
		return false, false
	}
	if profile == 0 {
		return false, true // not declared
	}
	slot, blocks := x.profiles.at(profile), x.names.blocks.Load()
	seen := slot.Load()
	if k.word.Load() != keyVersion {
		return false, false // and so profile and blocks may be those of another key
	}
	workspace, account := seen.workspace.value.Load(), seen.accountValue()

	e.Key = policy.Key{
		ID: id, Generation: uint32(generation), State: state, ExpiresAt: endOf(stated, notAfter, issued, seen.ttl),
	}
	e.Foreign = foreign
	e.Key.Name, e.Key.DisplayName = read(*blocks, place)
	e.Class, e.Workspace, e.Account = &seen.class, workspace, account
	e.Limits, e.buckets, e.subject = seen.limits, seen.buckets, subject

	unchanged := seen == slot.Load() && workspace == seen.workspace.value.Load() && account == seen.accountValue() &&
		c.word.Load() == version && k.word.Load() == keyVersion
	return true, unchanged
}
