package feed

import (
	"slices"
	"sync"
)

// barrier holds lists back until those of all kinds are there. It stands where the verifier
// serves from a snapshot. Kinds come back one by one, perhaps long apart, and there is no order
// in which a mixture of old and new would be safe: a key may have been narrowed and its ceiling
// raised after that, or the ceiling lowered and the key widened; a leaked key may have been
// replaced and its successor allowed more. Each was safe at every moment, and old of one kind
// with new of another is a moment that never was. So it is the snapshot until all is
// known, then the cluster: what is left is the instant in which the lists are applied, as it
// is between any two watches. Only what takes away is not held back: that a key, its hash, its Workspace or its
// ServiceAccount is gone, revoked or suspended is safe with anything.
type barrier struct {
	mu      sync.Mutex
	waiting []string // kinds whose list is not there
	release []func()
}

// newBarrier makes a barrier for these kinds. A nil barrier holds nothing back.
func newBarrier(kinds []string) *barrier {
	return &barrier{waiting: slices.Clone(kinds)}
}

// arrive says that a kind's list is there. With the last, what is held of each kind is released.
func (b *barrier) arrive(kind string, release func()) {
	for _, release := range b.arrived(kind, release) {
		release()
	}
}

func (b *barrier) arrived(kind string, release func()) (releases []func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.waiting, kind)
	if i < 0 {
		return nil
	}
	b.waiting = slices.Delete(b.waiting, i, i+1)
	b.release = append(b.release, release)
	if len(b.waiting) > 0 {
		return nil
	}
	return b.release
}

// missing are the kinds whose list is not there.
func (b *barrier) missing() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.waiting)
}
