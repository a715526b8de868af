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

// observeCached reads what the caches hold. The content of the delivered Secret is in no
// cache: it is read where it was not before.
func (r *Reconciler) observeCached(ctx context.Context, s *scope) error {
	s.material = material{}
	for i := range s.hashed {
		if s.hashed[i].Labels[v1alpha1.LabelApiKeyUID] == string(s.key.UID) {
			s.material.addHashed(&s.hashed[i], s.key.UID)
		}
	}
	meta := &metav1.PartialObjectMetadata{}
	meta.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := r.Cached.Get(ctx, deliveredAt(s.key), meta)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if c, known := r.memory.content(s.name, &meta.ObjectMeta); known || !isOwn(&meta.ObjectMeta, s.key.UID) {
		s.material.delivered = newDelivered(&meta.ObjectMeta, s.key.UID, c)
		return nil
	}
	s.material.delivered, err = r.readDelivered(ctx, s.key)
	return err
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
	s.setKey(key)
	s.material = material{}
	var err error
	if s.material.delivered, err = r.readDelivered(ctx, key); err != nil {
		return err
	}
	if d := s.material.delivered; d != nil && d.own && d.generation > 0 {
		known = append(known, d.generation, d.generation-1)
	}
	return r.readHashed(ctx, s, known)
}

// readDelivered reads the Secret under the delivery's name; nil: there is none.
func (r *Reconciler) readDelivered(ctx context.Context, key *v1alpha1.ApiKey) (*deliveredSecret, error) {
	secret := &corev1.Secret{}
	if err := r.Live.Get(ctx, deliveredAt(key), secret); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	var c content
	if isOwn(&secret.ObjectMeta, key.UID) {
		c = contentOf(secret)
		r.memory.rememberContent(key, &secret.ObjectMeta, c)
	}
	return newDelivered(&secret.ObjectMeta, key.UID, c), nil
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
