// Package once tells what was seen before from what was not, for a while and in bounded memory.
package once

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
)

// Table remembers pairs of a key and a request for at least its window, unless more than its size
// come in that time; then the oldest are forgotten sooner. Its methods may be called from any goroutine.
type Table struct {
	window time.Duration
	half   int
	seed   maphash.Seed

	mu    sync.Mutex
	young map[name]struct{}
	old   map[name]struct{} // of the window before
	since time.Time         // when young was begun
}

type name struct {
	key     keyid.ID
	request uint64
}

// New makes a Table of a window and a size.
func New(window time.Duration, size int) *Table {
	return &Table{window: window, half: max(1, size/2), seed: maphash.MakeSeed(), young: map[name]struct{}{}}
}

// Seen says whether a request of a key was seen within the window, and remembers it.
func (t *Table) Seen(key keyid.ID, request string, now time.Time) bool {
	n := name{key, maphash.String(t.seed, request)}
	t.mu.Lock()
	defer t.mu.Unlock()
	// A clock that was set back must not keep what is old for ever.
	if age := now.Sub(t.since); age >= t.window || age < 0 || len(t.young) >= t.half {
		t.old, t.young, t.since = t.young, map[name]struct{}{}, now
	}
	_, young := t.young[n]
	_, old := t.old[n]
	if !young {
		t.young[n] = struct{}{}
	}
	return young || old
}

// Forget lets a request be seen for the first time again, because it came to nothing.
func (t *Table) Forget(key keyid.ID, request string) {
	n := name{key, maphash.String(t.seed, request)}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.young, n)
	delete(t.old, n)
}
