package keyindex

import (
	"cmp"
	"reflect"
	"slices"

	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/token"
)

// SetCredential takes note of a credential, new or changed, under the name of its Secret.
func (x *Index) SetCredential(secret string, c credential.Credential) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if known := x.credentials[secret]; known != nil {
		if reflect.DeepEqual(*known, c) {
			return
		}
		if known.Hash == c.Hash && known.ApiKeyUID == c.ApiKeyUID {
			// The end was moved. In place, or the key would be unknown for a moment.
			x.replaceCredential(secret, known, &c)
			return
		}
		x.deleteCredential(secret)
	}
	x.credentials[secret] = &c
	x.counts.Credentials++
	k := x.apiKey(c.ApiKeyUID)
	k.credentials = append(k.credentials, &c)
	x.claims[c.Hash] = append(x.claims[c.Hash], &c)
	x.publish(c.Hash, &memo{})
}

// publishKey shows readers what the hashes of a key lead to now.
func (x *Index) publishKey(k *apiKey, m *memo) {
	for _, c := range k.credentials {
		x.publish(c.Hash, m)
	}
}

// DeleteCredential takes note that the Secret of a credential is gone.
func (x *Index) DeleteCredential(secret string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.deleteCredential(secret)
}

func (x *Index) replaceCredential(secret string, old, fresh *credential.Credential) {
	x.credentials[secret] = fresh
	of := x.byUID[fresh.ApiKeyUID].credentials
	of[slices.Index(of, old)] = fresh
	claims := x.claims[fresh.Hash]
	claims[slices.Index(claims, old)] = fresh
	x.publish(fresh.Hash, &memo{})
}

func (x *Index) deleteCredential(secret string) {
	c := x.credentials[secret]
	if c == nil {
		return
	}
	delete(x.credentials, secret)
	x.counts.Credentials--
	is := func(other *credential.Credential) bool { return other == c }
	k := x.byUID[c.ApiKeyUID]
	k.credentials = slices.DeleteFunc(k.credentials, is)
	if x.claims[c.Hash] = slices.DeleteFunc(x.claims[c.Hash], is); len(x.claims[c.Hash]) == 0 {
		delete(x.claims, c.Hash)
	}
	x.publish(c.Hash, &memo{})
	x.releaseApiKey(c.ApiKeyUID)
}

// publish shows readers what a hash leads to now: the oldest of its credentials whose ApiKey is
// declared. No two keys have the same hash unless somebody put it there, and then the answer must
// at least not depend on which of them arrived last.
func (x *Index) publish(hash token.Hash, m *memo) {
	var oldest *credential.Credential
	for _, c := range x.claims[hash] {
		if x.byUID[c.ApiKeyUID].object != nil && (oldest == nil || age(c, oldest) < 0) {
			oldest = c
		}
	}
	if oldest == nil {
		x.entries.Delete(hash)
		return
	}
	x.entries.Store(hash, x.entry(x.byUID[oldest.ApiKeyUID], oldest, m))
}

// age orders credentials, the oldest first, and leaves no two equal but for their names.
func age(a, b *credential.Credential) int {
	return cmp.Or(
		a.IssuedAt.Compare(b.IssuedAt),
		cmp.Compare(a.ApiKeyUID, b.ApiKeyUID),
		cmp.Compare(a.Generation, b.Generation),
	)
}
