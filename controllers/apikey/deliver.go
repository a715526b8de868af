package apikey

import (
	"context"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/token"
)

// deliver makes a key and creates the Secret that holds it. Creating, unlike updating, cannot
// overwrite a key.
func (r *Reconciler) deliver(ctx context.Context, s *scope, generation int) error {
	secret, err := s.made(deliveredAt(s.key), generation)
	if err != nil {
		return err
	}
	secret.Data[v1alpha1.DataKeyKeyID] = []byte(s.key.UID)
	wear(&secret.ObjectMeta, s.key)
	if err := r.create(ctx, secret); err != nil {
		return err
	}
	s.setDelivered(r, secret)
	if s.material.delivered.key == nil {
		return errRewritten
	}
	return nil
}

// stage makes the key that is to follow, and creates the Secret that it waits in. It cannot wait in the delivered
// Secret: each change of that has its readers restarted, and they must be once only.
func (r *Reconciler) stage(ctx context.Context, s *scope, generation int) error {
	// The hashes were read after the delivered Secret. If that has changed since, another operator may have done all
	// of this in between, and its new key would be taken for a forerunner of this one.
	if _, err := r.unchanged(ctx, deliveredAt(s.key), &s.material.delivered.meta); err != nil {
		return err
	}
	secret, err := s.made(stagedAt(s.key), generation)
	if err != nil {
		return err
	}
	secret.Labels = map[string]string{v1alpha1.LabelSecret: v1alpha1.SecretStaged, v1alpha1.LabelApiKeyUID: string(s.key.UID)}
	secret.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: apiKeyKind.GroupVersion().String(), Kind: apiKeyKind.Kind,
		Name: s.key.Name, UID: s.key.UID, Controller: ptr.To(true),
	}}
	if err := r.create(ctx, secret); err != nil {
		return err
	}
	s.material.staged = newDelivered(&secret.ObjectMeta, true, contentOf(secret))
	if s.material.staged.key == nil {
		return errRewritten
	}
	return nil
}

// made is a Secret with a key that was made for it.
func (s *scope) made(at client.ObjectKey, generation int) (*corev1.Secret, error) {
	key, err := token.New(prefix(s.key, s.references.workspace), environment(s.key))
	if err != nil {
		return nil, err
	}
	annotations := map[string]string{
		v1alpha1.AnnotationGeneration: strconv.Itoa(generation),
		annotationIssuedAt:            s.now.UTC().Format(time.RFC3339),
	}
	if asked := regeneration(s.key); asked != "" {
		annotations[annotationRegenerated] = asked
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: at.Namespace, Name: at.Name, Annotations: annotations},
		Type:       corev1.SecretTypeOpaque,
		Data:       map[string][]byte{v1alpha1.DataKeyApiKey: []byte(key.Reveal())},
	}, nil
}

// promote puts the staged key into the delivered Secret, whose name stays, so that what is mounted
// follows. Both are read again, and the one is written only in the version that was judged: what an operator that
// stood still for a while holds in its memory is never written.
func (r *Reconciler) promote(ctx context.Context, s *scope) error {
	next, err := r.unchanged(ctx, stagedAt(s.key), &s.material.staged.meta)
	if err != nil {
		return err
	}
	before, err := r.unchanged(ctx, deliveredAt(s.key), &s.material.delivered.meta)
	if err != nil {
		return err
	}
	after := before.DeepCopy()
	after.Data[v1alpha1.DataKeyApiKey] = next.Data[v1alpha1.DataKeyApiKey]
	delete(after.Data, v1alpha1.DataKeyPrevious)
	if s.keepsPrevious() {
		after.Data[v1alpha1.DataKeyPrevious] = before.Data[v1alpha1.DataKeyApiKey]
	}
	for _, name := range []string{v1alpha1.AnnotationGeneration, annotationIssuedAt, annotationRegenerated} {
		after.Annotations[name] = next.Annotations[name]
		if after.Annotations[name] == "" {
			delete(after.Annotations, name)
		}
	}
	after.Annotations[annotationReplacedAt] = s.now.UTC().Format(time.RFC3339)
	note(&after.ObjectMeta, annotationHoldsPrevious, map[string]string{v1alpha1.DataKeyPrevious: string(after.Data[v1alpha1.DataKeyPrevious])})
	if len(after.Data[v1alpha1.DataKeyPrevious]) == 0 {
		delete(after.Annotations, annotationHoldsPrevious)
	}
	wear(&after.ObjectMeta, s.key)
	if err := r.patch(ctx, before, after); err != nil {
		return err
	}
	s.setDelivered(r, after)
	if s.material.delivered.key == nil {
		return errRewritten
	}
	s.succeeded = true
	return nil
}

// annotationHoldsPrevious says that the Secret holds the replaced key besides, so that it is known
// without its content.
const annotationHoldsPrevious = "keys.claviger.dev/holds-previous"

// dropPrevious takes the replaced key out of the Secret once it does not work any more.
func (r *Reconciler) dropPrevious(ctx context.Context, s *scope) error {
	d := s.material.delivered
	if d == nil || !d.own || d.meta.Annotations[annotationHoldsPrevious] == "" || s.material.previous() != nil && s.keepsPrevious() {
		return nil
	}
	before, err := r.unchanged(ctx, deliveredAt(s.key), &d.meta)
	if err != nil {
		return err
	}
	after := before.DeepCopy()
	delete(after.Data, v1alpha1.DataKeyPrevious)
	delete(after.Annotations, annotationHoldsPrevious)
	if err := r.patch(ctx, before, after); err != nil {
		return s.refused(err)
	}
	s.setDelivered(r, after)
	return nil
}

// keepsPrevious says that the replaced key is to be in the Secret, too.
func (s *scope) keepsPrevious() bool {
	rotation := s.key.Spec.Rotation
	return rotation != nil && rotation.KeepPrevious && rotation.Overlap != nil
}

// unchanged reads a Secret in the version that was judged. The error is errChanged if there is another by now.
func (r *Reconciler) unchanged(ctx context.Context, at client.ObjectKey, judged *metav1.ObjectMeta) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	if err := r.Live.Get(ctx, at, secret); err != nil {
		return nil, err
	}
	if secret.UID != judged.UID || secret.ResourceVersion != judged.ResourceVersion {
		return nil, errChanged
	}
	return secret, nil
}

// unstage deletes the staged Secret. What is in it was delivered, or is not going to be.
func (r *Reconciler) unstage(ctx context.Context, s *scope) error {
	if err := r.deleteThis(ctx, &s.material.staged.meta); err != nil {
		return err
	}
	s.material.staged = nil
	return nil
}

// setDelivered takes note of the delivered Secret as it was written.
func (s *scope) setDelivered(r *Reconciler, secret *corev1.Secret) {
	found := contentOf(secret)
	r.memory.rememberContent(s.key, &secret.ObjectMeta, found)
	s.material.delivered = newDelivered(&secret.ObjectMeta, isOwn(&secret.ObjectMeta, s.key.UID, v1alpha1.SecretDelivered), found)
}
