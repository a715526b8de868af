package apikey

import (
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// memory spares the API server what was asked or written before. Nothing depends on it: a
// forgotten entry costs a read.
type memory struct {
	mu      sync.Mutex
	entries map[types.NamespacedName]*entry
}

type entry struct {
	uid types.UID
	// The content of the delivered Secret at this version of it.
	secretUID     types.UID
	secretVersion string
	content       content
	// writtenOver is the version of the ApiKey that the last write of its status
	// replaced; as long as a cache still has it, it is behind.
	writtenOver string
	// revokedAt is when the key was seen to be revoked; a status keeps that to the second only.
	revokedAt time.Time
	// issued says that a key was issued, or is being issued, so that its place is taken.
	issued bool
	// revivedOver is the end that the status told when a place was taken for the key to live
	// again; as long as the status tells the same, it is behind. Nil: it did not live again.
	revivedOver *metav1.Time
}

func nameOf(key *v1alpha1.ApiKey) types.NamespacedName {
	return types.NamespacedName{Namespace: key.Namespace, Name: key.Name}
}

// of returns the entry of an ApiKey, an empty one where another had the name. The lock must be held.
func (m *memory) of(name types.NamespacedName, uid types.UID) *entry {
	e := m.entries[name]
	if e == nil || e.uid != uid {
		if m.entries == nil {
			m.entries = map[types.NamespacedName]*entry{}
		}
		e = &entry{uid: uid}
		m.entries[name] = e
	}
	return e
}

func (m *memory) forget(name types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, name)
}

// content is what was found in this version of a delivered Secret, if it was ever read.
func (m *memory) content(name types.NamespacedName, secret *metav1.ObjectMeta) (content, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entries[name]
	if e == nil || e.secretUID != secret.UID || e.secretVersion != secret.ResourceVersion {
		return content{}, false
	}
	return e.content, true
}

func (m *memory) rememberContent(key *v1alpha1.ApiKey, secret *metav1.ObjectMeta, c content) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.of(nameOf(key), key.UID)
	e.secretUID, e.secretVersion, e.content = secret.UID, secret.ResourceVersion, c
}

func (m *memory) rememberStatusWrite(key *v1alpha1.ApiKey, over string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(nameOf(key), key.UID).writtenOver = over
}

// awaitsOwnWrite says whether the cache does not show the last write of the status yet. It says
// so once only, so that nobody waits for ever.
func (m *memory) awaitsOwnWrite(key *v1alpha1.ApiKey) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.of(nameOf(key), key.UID)
	behind := e.writtenOver != "" && e.writtenOver == key.ResourceVersion
	e.writtenOver = ""
	return behind
}

// isIssued says whether a key is known to be issued. The lock must be held.
func (m *memory) isIssued(key *v1alpha1.ApiKey) bool {
	e := m.entries[nameOf(key)]
	return key.Status.IssuedAt != nil || e != nil && e.uid == key.UID && e.issued
}

func (m *memory) markIssued(key *v1alpha1.ApiKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(nameOf(key), key.UID).issued = true
}

// take notes that the key takes a place. The lock must be held.
func (m *memory) take(key *v1alpha1.ApiKey, now time.Time) {
	e := m.of(nameOf(key), key.UID)
	e.issued = true
	if told := key.Status.ExpiresAt; told != nil && !told.After(now) {
		e.revivedOver = told.DeepCopy()
	}
}

// giveBack notes that a key that took a place to live again does not live.
func (m *memory) giveBack(key *v1alpha1.ApiKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(nameOf(key), key.UID).revivedOver = nil
}

func (m *memory) rememberRevocation(key *v1alpha1.ApiKey, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(nameOf(key), key.UID).revokedAt = at
}

// revokedAt is when the key was seen to be revoked, or else what the status tells.
func (m *memory) revokedAt(key *v1alpha1.ApiKey, told time.Time) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at := m.of(nameOf(key), key.UID).revokedAt; !at.IsZero() {
		return at
	}
	return told
}
