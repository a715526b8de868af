// Package keyindex is what the verifier knows, in memory: hash -> credential -> ApiKey ->
// profile -> Workspace, ServiceAccount and limits, joined at the lookup.
//
// A key is two small records without pointers, so that millions of them cost neither memory nor
// the garbage collector's time. All that keys have in common (tenant, account, scopes, limits,
// networks) is a profile, compiled once for all keys that share it. Writers (a feed) take turns; readers follow atomic
// words and never wait. A Workspace and a ServiceAccount are each one cell that all their keys point to, so suspending
// one is a single store, however many keys it has. A changed catalogue, ceiling or limit compiles the
// profiles under it anew, and only those; other keys can be revoked, and other tenants
// suspended, between any two of them.
//
// Objects may arrive in any order and end in the same index.
package keyindex

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/internal/limitstore/local"
	"github.com/claviger-dev/claviger/internal/network"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/scope"
	"github.com/claviger-dev/claviger/internal/token"
)

// Index is the index. Its methods may be called at any time from any goroutine.
type Index struct {
	// What readers touch: hash -> credential -> key -> names and profile.
	table       atomic.Pointer[hashTable]
	credentials slab[credentialRecord]
	keys        slab[keyRecord]
	names       texts
	profiles    slab[profileSlot]
	foreign     atomic.Int64 // how many credentials are foreign

	wide sync.Mutex // for changes that may touch many profiles; taken before mu
	mu   sync.Mutex // guards all below, and orders the writing of the above

	byUID      *uidTable
	rivals     map[token.Hash][]uint32 // the credentials of a hash that several claim
	byContent  map[[sha256.Size]byte]*profile
	sets       pool[scope.Set]
	networks   pool[*network.Set]
	catalogues pool[*scope.Catalogue]
	policies   pool[*policy.Workspace]
	texts      pool[string]
	lists      pool[[]string]
	workspaces map[types.NamespacedName]*workspace
	accounts   map[types.NamespacedName]*account
	limits     map[types.NamespacedName]*keyLimit
	buckets    *local.Store
	counts     Counts
	content    []byte // to write a profile's content into
	changes    atomic.Uint64
	now        func() time.Time // of edits of limits
	between    func()           // called between two profiles that are compiled; only tests set it
}

// New makes an empty index.
func New() *Index {
	x := &Index{
		byUID:      newUIDTable(),
		rivals:     map[token.Hash][]uint32{},
		byContent:  map[[sha256.Size]byte]*profile{},
		workspaces: map[types.NamespacedName]*workspace{},
		accounts:   map[types.NamespacedName]*account{},
		limits:     map[types.NamespacedName]*keyLimit{},
		buckets:    local.NewStore(),
		now:        time.Now,
	}
	x.table.Store(newHashTable(0))
	return x
}

// UseClock sets the clock by which edited limits go on with what was counted; it is the system's
// otherwise. It must be called before anything is put into the index.
func (x *Index) UseClock(now func() time.Time) { x.now = now }

// Buckets is where what was used of the limits is counted.
func (x *Index) Buckets() *local.Store { return x.buckets }

// lock locks for a change of one key.
func (x *Index) lock() (unlock func()) {
	x.mu.Lock()
	return x.mu.Unlock
}

// lockWide locks for a change of a Workspace, a ServiceAccount or a KeyLimit. Only one of
// them is made at a time; changes of keys go on meanwhile, where compile lets them.
func (x *Index) lockWide() (unlock func()) {
	x.wide.Lock()
	x.mu.Lock()
	return func() {
		x.mu.Unlock()
		x.wide.Unlock()
	}
}

// Changes is a number that is higher after each change of what Encode would write, and not after an object has
// come again as it was. Whoever asks before Encode and finds the same number later has all in it.
func (x *Index) Changes() uint64 { return x.changes.Load() }

// changed must be called before the locks are let go under which the change was made: those are what Encode waits for.
func (x *Index) changed() { x.changes.Add(1) }

// HasForeign says whether there is any key of another format than Claviger's, so that what is not of that
// may be worth looking up. It waits for nobody.
func (x *Index) HasForeign() bool { return x.foreign.Load() > 0 }

// Counts says how many objects the index holds.
type Counts struct {
	Credentials, ApiKeys, Workspaces, ServiceAccounts, KeyLimits int
}

// Counts counts the objects. It may wait for a writer.
func (x *Index) Counts() Counts {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.counts
}
