package apikey

import (
	"context"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/credential"
)

// isAdoptable says whether a Secret is nobody's: no object controls it but an ApiKey of this name that was
// deleted, no ApiKey that lives has it for its own, and none has the key in it. It is asked only where the spec
// allows to take one over.
func (r *Reconciler) isAdoptable(ctx context.Context, key *v1alpha1.ApiKey, secret *corev1.Secret) (bool, error) {
	if !secret.DeletionTimestamp.IsZero() || secret.Annotations[annotationRevoked] != "" {
		return false, nil
	}
	for _, owner := range secret.OwnerReferences {
		if ptr.Deref(owner.Controller, false) && !isPredecessor(&owner, key) {
			return false, nil
		}
	}
	if uid := types.UID(secret.Labels[v1alpha1.LabelApiKeyUID]); uid != "" {
		if declared, err := r.isDeclared(ctx, uid); declared || err != nil {
			return false, err
		}
	}
	c := contentOf(secret)
	if c.key == nil {
		return false, nil
	}
	taken, err := r.isTaken(ctx, key, *c.key, func(*credential.Credential) bool { return true })
	return !taken, err
}

// isPredecessor says whether an owner is an ApiKey that had the name of this one.
func isPredecessor(owner *metav1.OwnerReference, key *v1alpha1.ApiKey) bool {
	return owner.Kind == apiKeyKind.Kind && owner.Name == key.Name && owner.UID != key.UID
}

// adopt makes the Secret under the delivery's name the ApiKey's own, in the very version that was judged. The
// key in it stays; it counts as issued when it was.
func (r *Reconciler) adopt(ctx context.Context, s *scope) error {
	before, err := r.unchanged(ctx, deliveredAt(s.key), &s.material.delivered.meta)
	if err != nil {
		return err
	}
	after := before.DeepCopy()
	disown(&after.ObjectMeta, s.key)
	wear(&after.ObjectMeta, s.key)
	generation, err := credential.Generation(before.Annotations)
	if err != nil {
		generation = 1
	}
	setDefault(after.Annotations, v1alpha1.AnnotationGeneration, strconv.Itoa(generation))
	setDefault(after.Annotations, annotationIssuedAt, before.CreationTimestamp.UTC().Format(time.RFC3339))
	setDefault(after.Annotations, annotationRegenerated, regeneration(s.key))
	delete(after.Annotations, annotationReplacedAt)
	after.Data[v1alpha1.DataKeyKeyID] = []byte(s.key.UID)
	if err := r.patch(ctx, before, after); err != nil {
		return err
	}
	s.setDelivered(r, after)
	return nil
}

// disown takes off the owner references to ApiKeys of this name that were deleted: the garbage collector
// would delete the Secret with them.
func disown(secret *metav1.ObjectMeta, key *v1alpha1.ApiKey) {
	secret.OwnerReferences = slices.DeleteFunc(secret.OwnerReferences, func(owner metav1.OwnerReference) bool {
		return isPredecessor(&owner, key)
	})
}

func setDefault(annotations map[string]string, name, value string) {
	if annotations[name] == "" && value != "" {
		annotations[name] = value
	}
}
