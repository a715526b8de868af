package apikey

import (
	"context"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// The annotations that remember, on a delivered Secret, which labels and annotations its
// ApiKey asked for, so that what is taken out of the spec is taken off, and only that.
const (
	annotationWornLabels      = "keys.claviger.dev/applied-labels"
	annotationWornAnnotations = "keys.claviger.dev/applied-annotations"
)

// annotationRevoked says that the key in a Secret was revoked, which is final: should the Secret outlive its ApiKey, no
// other adopts it.
const annotationRevoked = "keys.claviger.dev/revoked"

var apiKeyKind = v1alpha1.GroupVersion.WithKind("ApiKey")

// dress keeps the metadata of the delivered Secret as the spec has it. Its data is not
// sent, let alone changed.
func (r *Reconciler) dress(ctx context.Context, s *scope) error {
	d := s.material.delivered
	if d == nil || !d.own || s.material.current() == nil {
		return nil
	}
	if err := r.dropPrevious(ctx, s); err != nil {
		return err
	}
	d = s.material.delivered
	before := &metav1.PartialObjectMetadata{ObjectMeta: d.meta}
	before.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	after := before.DeepCopy()
	wear(&after.ObjectMeta, s.key)
	if equality.Semantic.DeepEqual(before.ObjectMeta, after.ObjectMeta) {
		return nil
	}
	err := r.Writer.Patch(ctx, after, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if err != nil {
		return s.refused(err)
	}
	// The lock held, so what was read of its data is true of the new version.
	r.memory.rememberContent(s.key, &after.ObjectMeta, content{d.key, d.hint})
	d.meta = after.ObjectMeta
	return nil
}

// wear puts on a Secret's metadata what the ApiKey asks for, and takes off what it asked for once.
func wear(secret *metav1.ObjectMeta, key *v1alpha1.ApiKey) {
	delivery := &key.Spec.Delivery
	labels, annotations := plain(delivery.Labels), plain(delivery.Annotations)

	secret.Labels = change(secret.Labels, worn(secret, annotationWornLabels), labels)
	secret.Labels[v1alpha1.LabelSecret] = v1alpha1.SecretDelivered
	secret.Labels[v1alpha1.LabelApiKeyUID] = string(key.UID)

	secret.Annotations = change(secret.Annotations, worn(secret, annotationWornAnnotations), annotations)
	if key.Spec.State == v1alpha1.KeyRevoked {
		secret.Annotations[annotationRevoked] = "true"
	}
	note(secret, annotationWornLabels, labels)
	note(secret, annotationWornAnnotations, annotations)
	own(secret, key)
}

// change returns the values without those that were put there before, and with those that
// are wanted now.
func change(values map[string]string, before []string, wanted map[string]string) map[string]string {
	changed := make(map[string]string, len(values)+len(wanted))
	maps.Copy(changed, values)
	for _, name := range before {
		delete(changed, name)
	}
	maps.Copy(changed, wanted)
	return changed
}

// worn reads which names were put on. What is Claviger's own is never among them, whatever
// somebody wrote there.
func worn(secret *metav1.ObjectMeta, annotation string) []string {
	names := strings.Split(secret.Annotations[annotation], ",")
	return slices.DeleteFunc(names, func(name string) bool {
		return strings.HasPrefix(name, v1alpha1.GroupVersion.Group+"/")
	})
}

func note(secret *metav1.ObjectMeta, annotation string, values map[string]string) {
	if len(values) == 0 {
		delete(secret.Annotations, annotation)
		return
	}
	secret.Annotations[annotation] = strings.Join(slices.Sorted(maps.Keys(values)), ",")
}

// own makes the ApiKey the Secret's owner, so that Kubernetes deletes the one with the other, or
// takes the ownership back. It does not block the owner's deletion: nothing may.
func own(secret *metav1.ObjectMeta, key *v1alpha1.ApiKey) {
	wanted := key.Spec.Delivery.DeletionPolicy != v1alpha1.DeletionRetain
	at := slices.IndexFunc(secret.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == key.UID })
	switch {
	case wanted && at < 0:
		others := slices.ContainsFunc(secret.OwnerReferences, func(o metav1.OwnerReference) bool { return ptr.Deref(o.Controller, false) })
		secret.OwnerReferences = append(secret.OwnerReferences, metav1.OwnerReference{
			APIVersion: apiKeyKind.GroupVersion().String(), Kind: apiKeyKind.Kind,
			Name: key.Name, UID: key.UID, Controller: ptr.To(!others),
		})
	case !wanted && at >= 0:
		secret.OwnerReferences = slices.Delete(secret.OwnerReferences, at, at+1)
	}
}

func plain[T ~string](values map[string]T) map[string]string {
	texts := make(map[string]string, len(values))
	for name, value := range values {
		texts[name] = string(value)
	}
	return texts
}
