package apikey

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/fieldindex"
	"github.com/claviger-dev/claviger/internal/token"
)

const (
	// HashedByHash is the index of hashed Secrets by the hash in them.
	HashedByHash = "hash"

	// sourceRetry is how often to look at a Secret that a key is brought along from. It has no label of ours, so
	// nothing tells when it changes.
	sourceRetry = time.Minute
	// rivalRetry is how often to look whether the other ApiKey with the same key is still there.
	rivalRetry = 30 * time.Second

	defaultSourceKey = "api-key"
	hintTail         = 4
)

// IndexHash fills HashedByHash.
func IndexHash(object client.Object) []string {
	secret, ok := object.(*corev1.Secret)
	if !ok {
		return nil
	}
	c, err := credential.FromSecret(secret)
	if err != nil {
		return nil
	}
	return []string{hashText(c.Hash)}
}

func hashText(hash token.Hash) string { return hex.EncodeToString(hash[:]) }

// broughtKey is a key that is brought along: what is kept of it.
type broughtKey struct {
	hash token.Hash
	hint string
	// foreign says that it may be of another format than Claviger's.
	foreign bool
	// rival says that another ApiKey had the same key before.
	rival bool
}

// observeSource reads the key that is brought along.
func (r *Reconciler) observeSource(ctx context.Context, s *scope) error {
	source := s.key.Spec.Source
	if source == nil {
		return nil
	}
	var err error
	if source.SecretRef != nil {
		s.lookAgain(sourceRetry)
		s.material.brought, err = r.readSource(ctx, s, source.SecretRef)
	} else {
		s.material.brought = stated(source)
	}
	if err != nil || s.material.brought == nil {
		return err
	}
	s.material.brought.rival, err = r.hasRival(ctx, s)
	return err
}

// stated is the key that the spec states the hash of; nil: it states none.
func stated(source *v1alpha1.Source) *broughtKey {
	b := &broughtKey{hint: source.Hint, foreign: true}
	if n, err := hex.Decode(b.hash[:], []byte(source.SHA256)); err != nil || n != token.HashSize {
		return nil
	}
	return b
}

// readSource reads a key out of a Secret, and notes what speaks against it.
func (r *Reconciler) readSource(ctx context.Context, s *scope, ref *v1alpha1.SecretKeyReference) (*broughtKey, error) {
	secret, dataKey := &corev1.Secret{}, cmp.Or(ref.Key, defaultSourceKey)
	err := r.Live.Get(ctx, client.ObjectKey{Namespace: s.key.Namespace, Name: ref.Name}, secret)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, err
	}
	text := string(secret.Data[dataKey])
	switch {
	case err != nil:
		s.fail(&problem{reason: v1alpha1.ReasonSourceNotFound, retryAfter: sourceRetry, quiet: true,
			message: fmt.Sprintf("Secret %q does not exist in this namespace: create it, or correct spec.source.secretRef", ref.Name)})
	case text == "":
		s.fail(&problem{reason: v1alpha1.ReasonSourceNotFound, retryAfter: sourceRetry, quiet: true,
			message: fmt.Sprintf("Secret %q holds nothing under %q: put the key there, or correct spec.source.secretRef.key", ref.Name, dataKey)})
	case !token.MayBeForeign(text):
		s.fail(&problem{reason: v1alpha1.ReasonWeakKey, stalled: true, retryAfter: sourceRetry,
			message: fmt.Sprintf("What Secret %q holds under %q cannot be a key: it must be at most %d visible ASCII characters, without a line end", ref.Name, dataKey, token.MaxForeignLength)})
	case token.Guessable(text):
		s.fail(&problem{reason: v1alpha1.ReasonWeakKey, stalled: true, retryAfter: sourceRetry,
			message: fmt.Sprintf("The key in Secret %q could be guessed, so it is not taken: have another one made, of at least 20 random letters and digits", ref.Name)})
	default:
		return broughtFrom(text), nil
	}
	return nil, nil
}

func broughtFrom(text string) *broughtKey {
	if parsed, err := token.Parse(text); err == nil {
		return &broughtKey{hash: parsed.Hash(), hint: parsed.Hint()}
	}
	return &broughtKey{hash: token.HashOf(text), hint: "…" + text[len(text)-hintTail:], foreign: true}
}

// hasRival says whether another ApiKey has the key that is brought along and had it before, as the
// verifiers see it: they let a hash lead to the oldest.
func (r *Reconciler) hasRival(ctx context.Context, s *scope) (bool, error) {
	return r.isTaken(ctx, s.key, s.material.brought.hash, s.isOlder)
}

// isTaken says whether another ApiKey that is declared has a key, and counts. The Secret is asked for again, so
// that one that is gone is in nobody's way.
func (r *Reconciler) isTaken(ctx context.Context, key *v1alpha1.ApiKey, hash token.Hash, counts func(*credential.Credential) bool) (bool, error) {
	var list corev1.SecretList
	err := r.Hashed.List(ctx, &list, client.InNamespace(r.Namespace), client.MatchingFields{HashedByHash: hashText(hash)})
	if err != nil {
		return false, err
	}
	for i := range list.Items {
		other, err := credential.FromSecret(&list.Items[i])
		if err != nil || other.ApiKeyUID == key.UID || !counts(&other) {
			continue
		}
		declared, err := r.isDeclared(ctx, other.ApiKeyUID)
		if err != nil {
			return false, err
		}
		err = r.Live.Get(ctx, client.ObjectKeyFromObject(&list.Items[i]), &corev1.Secret{})
		if err == nil && declared {
			return true, nil
		}
		if client.IgnoreNotFound(err) != nil {
			return false, err
		}
	}
	return false, nil
}

// isDeclared says whether there is an ApiKey of that UID.
func (r *Reconciler) isDeclared(ctx context.Context, uid types.UID) (bool, error) {
	var owners v1alpha1.ApiKeyList
	err := r.Cached.List(ctx, &owners, client.MatchingFields{fieldindex.ApiKeyUID: string(uid)})
	return len(owners.Items) > 0, err
}

// isOlder says whether another ApiKey's key comes before that of the same hash which this one has or is to
// have: see keyindex.
func (s *scope) isOlder(other *credential.Credential) bool {
	for _, h := range s.material.hashed {
		if h.credential.Hash != other.Hash {
			continue
		}
		if !h.credential.IssuedAt.Equal(other.IssuedAt) {
			return other.IssuedAt.Before(h.credential.IssuedAt)
		}
		return other.ApiKeyUID < s.key.UID
	}
	return true
}
