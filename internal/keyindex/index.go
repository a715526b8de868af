// Package keyindex is what the verifier knows, in memory: hash -> credential -> ApiKey ->
// Workspace, ServiceAccount and limits, joined at the lookup.
//
// Writers (a feed) take turns and put immutable values in place; readers follow atomic pointers
// and never wait. A Workspace and a ServiceAccount are each one cell that all their keys
// point to, so suspending one is a single store, however many keys it has. What a key may do
// depends on all three, so a changed catalogue or ceiling compiles the keys under it anew, and only those; other keys can
// be revoked, and other tenants suspended, between any two of them.
//
// Objects may arrive in any order and end in the same index.
package keyindex

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/limitstore/local"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/token"
)

// Index is the index. Its methods may be called at any time from any goroutine.
type Index struct {
	entries sync.Map // token.Hash -> *entry: all that readers touch

	wide        sync.Mutex // for changes that may touch many keys; taken before mu
	mu          sync.Mutex // guards all below, and orders the writing of entries
	keys        map[types.NamespacedName]*apiKey
	byUID       map[types.UID]*apiKey // of keys, and of those that only a credential speaks of
	workspaces  map[types.NamespacedName]*workspace
	accounts    map[types.NamespacedName]*account
	limits      map[types.NamespacedName]*keyLimit
	credentials map[string]*credential.Credential // by the name of their Secret
	claims      map[token.Hash][]*credential.Credential
	buckets     *local.Store
	counts      Counts
	between     func() // called between two keys that are compiled; only tests set it
}

// New makes an empty index.
func New() *Index {
	return &Index{
		keys:        map[types.NamespacedName]*apiKey{},
		byUID:       map[types.UID]*apiKey{},
		workspaces:  map[types.NamespacedName]*workspace{},
		accounts:    map[types.NamespacedName]*account{},
		limits:      map[types.NamespacedName]*keyLimit{},
		credentials: map[string]*credential.Credential{},
		claims:      map[token.Hash][]*credential.Credential{},
		buckets:     local.NewStore(),
	}
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

// Entry is what the index knows of a key at the moment of a lookup. What it points to must
// not be changed.
type Entry struct {
	policy.Record
	Limits *Limits
}

// Limits are the rates that hold for a key. The two lists go together.
type Limits struct {
	Names    []string // of the KeyLimits
	Attached []limit.Attached
}

// entry is what a hash leads to.
type entry struct {
	key       policy.Key
	workspace *workspace
	account   *account // nil where the key has none, or none that counts
	limits    Limits
}

// Lookup finds a key by its hash, as all that it is joined from was at one moment. A hash
// whose ApiKey is not declared is not found.
func (x *Index) Lookup(hash token.Hash) (Entry, bool) {
	var key any = hash // made once, because that allocates
	return join(func() *entry {
		value, ok := x.entries.Load(key)
		if !ok {
			return nil
		}
		return value.(*entry)
	})
}

// join joins an entry with the values it points to. It looks twice, and starts again where
// something changed meanwhile: a slow reader could else join scopes of before with a Workspace that
// was resumed only after they had been narrowed.
func join(load func() *entry) (Entry, bool) {
	for {
		e := load()
		if e == nil {
			return Entry{}, false
		}
		found := e.found()
		if found == e.found() && e == load() {
			return found, true
		}
	}
}

func (e *entry) found() Entry {
	found := Entry{
		Record: policy.Record{Key: &e.key, Workspace: e.workspace.value.Load()},
		Limits: &e.limits,
	}
	if e.account != nil {
		found.Account = e.account.value.Load()
	}
	return found
}

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
