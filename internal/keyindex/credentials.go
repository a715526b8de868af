package keyindex

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/token"
)

// issue is a credential as the index takes it in.
type issue struct {
	hash             token.Hash
	id               keyid.ID
	generation       int
	issued, notAfter uint64 // instants
	foreign          bool
}

// SetCredential takes note of a credential, new or changed: that of a generation of an ApiKey.
// The error is of one that cannot be told from others; it is left out.
func (x *Index) SetCredential(c credential.Credential) error {
	id, err := keyid.Parse(string(c.ApiKeyUID))
	if err != nil {
		return fmt.Errorf("the credential is left out, because the UID of its ApiKey is %w", err)
	}
	if c.Generation < 0 || c.Generation > maxGeneration {
		return fmt.Errorf("the credential is left out, because there is no generation %d", c.Generation)
	}
	defer x.lock()()
	x.issue(issue{c.Hash, id, c.Generation, instant(c.IssuedAt), instantOf(c.NotAfter), c.Foreign})
	return nil
}

func (x *Index) issue(i issue) {
	key := x.key(i.id)
	if known := x.credential(key, i.generation); known != 0 {
		if c := x.credentials.at(known); x.hashOf(known) == i.hash {
			if c.issuedAt() == i.issued && c.approvedEnd() == i.notAfter && c.foreign() == i.foreign {
				return
			}
			x.changed()
			// The end was moved. In place, or the key would be unknown for a moment.
			x.countForeign(i.foreign, c.foreign())
			x.write(known, key, &i)
			x.publish(i.hash)
			return
		}
		x.deleteCredential(known)
		key = x.key(i.id) // it may have been let go
	}
	x.changed()
	x.countForeign(i.foreign, false) // first: whoever finds the credential must have looked for it
	number := x.credentials.take()
	x.write(number, key, &i)
	k := x.keys.at(key)
	x.credentials.at(number).setNext(k.first())
	k.setFirst(number)
	x.counts.Credentials++
	x.claim(i.hash, number)
	x.publish(i.hash)
}

func (x *Index) write(number, key uint32, i *issue) {
	c := x.credentials.at(number)
	words := hashWords(&i.hash)
	c.write(key, func() {
		for j := range words {
			c.hash[j].Store(words[j])
		}
		c.set(i.issued, i.notAfter, i.generation, i.foreign)
	})
}

// countForeign counts a credential that is foreign now, or was before.
func (x *Index) countForeign(is, was bool) {
	switch {
	case is && !was:
		x.foreign.Add(1)
	case was && !is:
		x.foreign.Add(-1)
	}
}

// credential finds a generation of a key; 0: there is none.
func (x *Index) credential(key uint32, generation int) uint32 {
	for number := x.keys.at(key).first(); number != 0; number = x.credentials.at(number).nextOfKey() {
		if x.credentials.at(number).generation() == generation {
			return number
		}
	}
	return 0
}

// DeleteCredential takes note that a credential is gone.
func (x *Index) DeleteCredential(uid types.UID, generation int) {
	id, err := keyid.Parse(string(uid))
	if err != nil {
		return // and so it is not there
	}
	defer x.lock()()
	if key, _ := x.byUID.find(id, x.idOf); key != 0 {
		if number := x.credential(key, generation); number != 0 {
			x.deleteCredential(number)
		}
	}
}

// RetainCredentials drops the credentials that keep does not accept, as after a full list.
func (x *Index) RetainCredentials(keep func(uid types.UID, generation int) bool) {
	x.sweepKeys(func(key uint32) {
		uid := types.UID(x.idOf(key).String())
		for number := x.keys.at(key).first(); number != 0; {
			c := x.credentials.at(number)
			next := c.nextOfKey()
			if !keep(uid, c.generation()) {
				x.deleteCredential(number)
			}
			number = next
		}
	})
}

func (x *Index) deleteCredential(number uint32) {
	x.changed()
	c := x.credentials.at(number)
	key, hash := c.key(), x.hashOf(number)
	x.unlink(key, number)
	x.disclaim(hash, number)
	x.countForeign(false, c.foreign())
	// The slot led here or does no longer; either way this leads nowhere from now on.
	c.write(0, func() {})
	x.counts.Credentials--
	x.publish(hash)
	x.credentials.release(number)
	x.releaseKey(key)
}

// unlink takes a credential out of its key's list.
func (x *Index) unlink(key, number uint32) {
	k, next := x.keys.at(key), x.credentials.at(number).nextOfKey()
	if k.first() == number {
		k.setFirst(next)
		return
	}
	for at := k.first(); ; {
		c := x.credentials.at(at)
		if at = c.nextOfKey(); at == number {
			c.setNext(next)
			return
		}
	}
}

// claim takes note that a credential has a hash. No two have the same unless somebody put it
// there; rivals are kept apart, so that nobody else pays for them.
func (x *Index) claim(hash token.Hash, number uint32) {
	words := hashWords(&hash)
	t := x.table.Load()
	i := t.find(words[0], func(n uint32) bool { return x.credentials.at(n).hashIs(&words) })
	if i >= 0 {
		if len(x.rivals[hash]) == 0 {
			x.rivals[hash] = []uint32{uint32(t.slots[i].Load())}
		}
		x.rivals[hash] = append(x.rivals[hash], number)
		return
	}
	if t.full() {
		t = t.grown(func(n uint32) uint64 { return x.credentials.at(n).hash[0].Load() })
		x.table.Store(t)
	}
	t.put(words[0], number)
}

// disclaim takes back a claim, and with the last one the hash's slot.
func (x *Index) disclaim(hash token.Hash, number uint32) {
	words := hashWords(&hash)
	t := x.table.Load()
	i := t.find(words[0], func(n uint32) bool { return x.credentials.at(n).hashIs(&words) })
	rest := slices.DeleteFunc(x.rivals[hash], func(n uint32) bool { return n == number })
	if len(rest) == 0 {
		t.remove(i)
		return
	}
	t.slots[i].Store(slotOf(words[0], rest[0]))
	if x.rivals[hash] = rest; len(rest) == 1 {
		delete(x.rivals, hash)
	}
}

// publishKey publishes what the hashes of a key lead to now.
func (x *Index) publishKey(k *keyRecord) {
	if len(x.rivals) == 0 {
		return // each leads to the one that claims it
	}
	for number := k.first(); number != 0; number = x.credentials.at(number).nextOfKey() {
		x.publish(x.hashOf(number))
	}
}

// publish shows readers what a hash leads to now: the oldest of its credentials whose ApiKey is
// declared. Which of them arrived last must make no difference.
func (x *Index) publish(hash token.Hash) {
	rivals := x.rivals[hash]
	if len(rivals) == 0 {
		return
	}
	oldest := slices.MinFunc(rivals, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(x.undeclared(a), x.undeclared(b)), x.age(a, b))
	})
	words := hashWords(&hash)
	t := x.table.Load()
	i := t.find(words[0], func(n uint32) bool { return x.credentials.at(n).hashIs(&words) })
	t.slots[i].Store(slotOf(words[0], oldest))
}

func (x *Index) undeclared(number uint32) int {
	if x.keys.at(x.credentials.at(number).key()).profile() == 0 {
		return 1
	}
	return 0
}

// age orders credentials, the oldest first, and leaves no two equal.
func (x *Index) age(a, b uint32) int {
	first, second := x.credentials.at(a), x.credentials.at(b)
	one, other := x.idOf(first.key()), x.idOf(second.key())
	return cmp.Or(
		cmp.Compare(first.issuedAt(), second.issuedAt()),
		bytes.Compare(one[:], other[:]),
		cmp.Compare(first.generation(), second.generation()),
	)
}

func (x *Index) hashOf(number uint32) (hash token.Hash) {
	return hashFrom(x.credentials.at(number).hashWords())
}
