package apikey

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/credential"
)

// HashedByApiKey is the index of hashed Secrets by the "namespace/name" of their ApiKey.
const HashedByApiKey = "apiKey"

// IndexHashed fills HashedByApiKey.
func IndexHashed(secret client.Object) []string {
	if name := secret.GetAnnotations()[v1alpha1.AnnotationApiKey]; name != "" {
		return []string{name}
	}
	return nil
}

// errGone says that the ApiKey of the cache does not exist any more.
var errGone = errors.New("the ApiKey was deleted meanwhile")

// hashedSecrets reads the hashed Secrets of an ApiKey's name from the cache.
func (r *Reconciler) hashedSecrets(ctx context.Context, name client.ObjectKey) ([]corev1.Secret, error) {
	var list corev1.SecretList
	err := r.Hashed.List(ctx, &list, client.InNamespace(r.Namespace), client.MatchingFields{HashedByApiKey: name.String()})
	return list.Items, err
}

// observeCached reads what the caches hold. The content of Secrets is in no cache: it is
// read where it was not before.
func (r *Reconciler) observeCached(ctx context.Context, s *scope) error {
	s.material = material{}
	for i := range s.hashed {
		if s.hashed[i].Labels[v1alpha1.LabelApiKeyUID] == string(s.key.UID) {
			s.material.addHashed(&s.hashed[i], s.key.UID)
		}
	}
	if err := r.observeSource(ctx, s); err != nil || !s.isDelivered() {
		return err
	}
	meta, err := r.cachedSecret(ctx, deliveredAt(s.key))
	if err != nil || meta == nil {
		return err
	}
	if c, known := r.memory.content(s.name, meta); known || !s.mayTake(meta) {
		s.material.delivered = newDelivered(meta, isOwn(meta, s.key.UID, v1alpha1.SecretDelivered), c)
	} else if s.material.delivered, err = r.readDelivered(ctx, s.key); err != nil {
		return err
	}
	// What is staged is always read: it is there for moments only.
	if meta, err := r.cachedSecret(ctx, stagedAt(s.key)); err != nil || meta == nil {
		return err
	}
	s.material.staged, _, err = r.readStaged(ctx, s.key)
	return err
}

// cachedSecret reads the metadata of a Secret that is ours; nil: the cache knows of none.
func (r *Reconciler) cachedSecret(ctx context.Context, at client.ObjectKey) (*metav1.ObjectMeta, error) {
	meta := &metav1.PartialObjectMetadata{}
	meta.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	if err := r.Cached.Get(ctx, at, meta); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return &meta.ObjectMeta, nil
}

// observeLive reads the same from the API server, so that no key is made, and none deleted, on the
// word of a cache. It reads objects by their names and lists nothing: what a
// list costs grows with the number of all keys.
func (r *Reconciler) observeLive(ctx context.Context, s *scope) error {
	known := s.material.generations()
	key := &v1alpha1.ApiKey{}
	if err := r.Live.Get(ctx, s.name, key); apierrors.IsNotFound(err) {
		return errGone
	} else if err != nil {
		return err
	}
	if key.UID != s.key.UID || !key.DeletionTimestamp.IsZero() {
		return errGone
	}
	stagedSeen := s.material.staged != nil
	s.setKey(key)
	s.material = material{}
	if !s.isDelivered() {
		if err := r.readHashed(ctx, s, known); err != nil {
			return err
		}
		return r.observeSource(ctx, s)
	}
	var err error
	if s.material.delivered, err = r.readDelivered(ctx, key); err != nil {
		return err
	}
	if d := s.material.delivered; d != nil && d.own && d.generation > 0 {
		known = append(known, d.generation, d.generation-1)
	}
	if err := r.readHashed(ctx, s, known); err != nil {
		return err
	}
	if stagedSeen || s.renewalWanted() {
		if s.material.staged, s.material.stageTaken, err = r.readStaged(ctx, key); err != nil {
			return err
		}
	}
	return r.findTaken(ctx, s)
}

// findTaken looks whether a key that has no hash yet is another ApiKey's. Whoever may write Secrets could else bring a
// key back that was revoked, or take one over that works.
func (r *Reconciler) findTaken(ctx context.Context, s *scope) (err error) {
	for _, d := range []*deliveredSecret{s.material.delivered, s.material.staged} {
		if d == nil || !d.own || d.key == nil || s.material.hashed[d.generation] != nil {
			continue
		}
		d.taken, err = r.isTaken(ctx, s.key, *d.key, func(*credential.Credential) bool { return true })
		if err != nil {
			return err
		}
	}
	return nil
}

// readDelivered reads the Secret under the delivery's name; nil: there is none.
func (r *Reconciler) readDelivered(ctx context.Context, key *v1alpha1.ApiKey) (*deliveredSecret, error) {
	secret := &corev1.Secret{}
	if err := r.Live.Get(ctx, deliveredAt(key), secret); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	own, adoptable := isOwn(&secret.ObjectMeta, key.UID, v1alpha1.SecretDelivered), false
	var c content
	if own {
		c = contentOf(secret)
		r.memory.rememberContent(key, &secret.ObjectMeta, c)
	} else if key.Spec.Delivery.Existing == v1alpha1.ExistingAdopt {
		var err error
		if adoptable, err = r.isAdoptable(ctx, key, secret); err != nil {
			return nil, err
		}
		if adoptable {
			c = contentOf(secret)
		}
	}
	d := newDelivered(&secret.ObjectMeta, own, c)
	if adoptable {
		d.adoptable, d.key, d.hint = true, c.key, c.hint
	}
	return d, nil
}

// readStaged reads the Secret that the next key waits in; nil: there is none of this ApiKey, and taken says whether
// something else has its name.
func (r *Reconciler) readStaged(ctx context.Context, key *v1alpha1.ApiKey) (staged *deliveredSecret, taken bool, err error) {
	secret := &corev1.Secret{}
	if err := r.Live.Get(ctx, stagedAt(key), secret); err != nil {
		return nil, false, client.IgnoreNotFound(err)
	}
	if !isOwn(&secret.ObjectMeta, key.UID, v1alpha1.SecretStaged) {
		return nil, true, nil
	}
	return newDelivered(&secret.ObjectMeta, true, contentOf(secret)), false, nil
}

// readHashed reads the hashed Secrets of the given generations, and on from the newest of them
// until there is no more: where a cache is behind, it is the newest that it does not know.
func (r *Reconciler) readHashed(ctx context.Context, s *scope, generations []int) error {
	read := map[int]bool{0: true}
	for _, generation := range generations {
		if err := r.readGeneration(ctx, s, generation, read); err != nil {
			return err
		}
	}
	if err := r.readOnwards(ctx, s, read); err != nil {
		return err
	}
	if len(s.material.hashed) > 0 || s.key.Status.IssuedAt == nil {
		return nil
	}
	// The status knows of a key, and no cache does: rare enough for a list.
	var list corev1.SecretList
	if err := r.Live.List(ctx, &list, client.InNamespace(r.Namespace), client.MatchingLabels{
		v1alpha1.LabelSecret: v1alpha1.SecretHashed, v1alpha1.LabelApiKeyUID: string(s.key.UID)}); err != nil {
		return err
	}
	for i := range list.Items {
		s.material.addHashed(&list.Items[i], s.key.UID)
	}
	return nil
}

func (r *Reconciler) readOnwards(ctx context.Context, s *scope, read map[int]bool) error {
	for {
		next := 1
		if generations := s.material.generations(); len(generations) > 0 {
			next = generations[len(generations)-1] + 1
		}
		if read[next] {
			return nil
		}
		if err := r.readGeneration(ctx, s, next, read); err != nil {
			return err
		}
	}
}

func (r *Reconciler) readGeneration(ctx context.Context, s *scope, generation int, read map[int]bool) error {
	if read[generation] {
		return nil
	}
	read[generation] = true
	secret := &corev1.Secret{}
	at := client.ObjectKey{Namespace: r.Namespace, Name: credential.Name(s.key.UID, generation)}
	if err := r.Live.Get(ctx, at, secret); err != nil {
		return client.IgnoreNotFound(err)
	}
	s.material.addHashed(secret, s.key.UID)
	return nil
}
