package keyindex

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/policy"
)

// declared is an ApiKey as the index takes it in.
type declared struct {
	id            keyid.ID
	name, display string
	state         policy.State
	stated        uint64 // instant
}

// SetApiKey takes note of an ApiKey, new or changed. The index keeps nothing of the object
// itself. The error is of a UID that is no UUID; such a key would never be found, and an older state of
// it is gone.
func (x *Index) SetApiKey(object *v1alpha1.ApiKey) error {
	id, err := keyid.Parse(string(object.UID))
	if err != nil {
		return fmt.Errorf("ApiKey %s/%s is left out, because its metadata.uid is %w", object.Namespace, object.Name, err)
	}
	d := declared{id: id, name: object.Name, display: object.Spec.DisplayName, state: state(object.Spec.State)}
	if object.Spec.ExpiresAt != nil {
		d.stated = instant(object.Spec.ExpiresAt.Time)
	}
	defer x.lock()()
	x.declare(d, x.profile(specOf(object)))
	return nil
}

// declare writes an ApiKey's record and moves its hashes to what they lead to now.
func (x *Index) declare(d declared, p *profile) {
	k := x.keys.at(x.key(d.id))
	before, place := k.profile(), k.place()
	if before == 0 {
		place = x.names.add(d.name, d.display)
		x.counts.ApiKeys++
		x.buckets.ReviveSubject(k.subject())
	} else if name, display := read(*x.names.blocks.Load(), place); name != d.name || display != d.display {
		x.names.drop(name, display)
		place = x.names.add(d.name, d.display)
	}
	if before == p.number && place == k.place() && d.stated == k.statedEnd() && d.state == k.state() {
		return // only its status changed, as it does while the key is used
	}
	x.changed()
	if before != p.number {
		p.keys++
	}
	k.write(p.number, func() { k.set(d.stated, d.state, place) })
	if before != p.number {
		x.leave(before)
	}
	if before == 0 {
		x.publishKey(k)
	}
	x.compact()
}

// DeleteApiKey takes note that an ApiKey is gone. Its hashes grant nothing from then on.
func (x *Index) DeleteApiKey(uid types.UID) {
	id, err := keyid.Parse(string(uid))
	if err != nil {
		return // and so it is not there
	}
	defer x.lock()()
	if number, _ := x.byUID.find(id, x.idOf); number != 0 {
		x.deleteApiKey(number)
	}
}

// RetainApiKeys drops the ApiKeys that keep does not accept, as after a full list.
func (x *Index) RetainApiKeys(keep func(types.UID) bool) {
	x.sweepKeys(func(number uint32) {
		if k := x.keys.at(number); k.profile() != 0 && !keep(types.UID(k.id().String())) {
			x.deleteApiKey(number)
		}
	})
}

// sweepKeys looks at all keys, and lets other writers go first now and then.
func (x *Index) sweepKeys(look func(number uint32)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for number := uint32(1); number < x.keys.next; number++ {
		if x.keys.at(number).inUse() {
			look(number)
		}
		if number%chunkSize == 0 {
			x.yield()
		}
	}
}

func (x *Index) deleteApiKey(number uint32) {
	k := x.keys.at(number)
	before := k.profile()
	if before == 0 {
		return
	}
	x.changed()
	x.names.drop(read(*x.names.blocks.Load(), k.place()))
	x.buckets.ForgetSubject(k.subject())
	k.write(0, func() { k.set(0, 0, 0) })
	x.counts.ApiKeys--
	x.publishKey(k)
	x.leave(before)
	x.releaseKey(number)
}

func (x *Index) idOf(number uint32) keyid.ID { return x.keys.at(number).id() }

// key finds the record of a UID, or makes one that is not declared.
func (x *Index) key(id keyid.ID) uint32 {
	if number, _ := x.byUID.find(id, x.idOf); number != 0 {
		return number
	}
	number := x.keys.take()
	k := x.keys.at(number)
	k.write(0, func() {
		k.setID(id)
		k.life.Store(0)
		k.links.Store(0)
	})
	x.byUID.put(id, number, x.idOf)
	return number
}

// releaseKey forgets a key that is neither declared nor spoken of.
func (x *Index) releaseKey(number uint32) {
	k := x.keys.at(number)
	if k.profile() != 0 || k.first() != 0 {
		return
	}
	_, slot := x.byUID.find(k.id(), x.idOf)
	x.byUID.remove(slot)
	k.write(0, func() { k.setID(keyid.ID{}) })
	x.keys.release(number)
}

// compact writes all names anew once most of what is kept belongs to nobody.
func (x *Index) compact() {
	if !x.names.wasteful() {
		return
	}
	blocks := *x.names.blocks.Load()
	x.names.renew(func() {
		for number := uint32(1); number < x.keys.next; number++ {
			if k := x.keys.at(number); k.profile() != 0 {
				place := x.names.add(read(blocks, k.place()))
				k.write(k.profile(), func() { k.set(k.statedEnd(), k.state(), place) })
			}
		}
	})
}
