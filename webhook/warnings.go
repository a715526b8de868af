package webhook

import (
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/validation"
)

func missing(key *v1alpha1.ApiKey, refs validation.References) (warnings admission.Warnings) {
	if refs.Workspace == nil {
		warnings = append(warnings, fmt.Sprintf(
			"Workspace %q does not exist yet: the key is issued once it does", key.Spec.WorkspaceRef.Name))
	}
	if ref := key.Spec.ServiceAccountRef; ref != nil && refs.ServiceAccount == nil {
		warnings = append(warnings, fmt.Sprintf(
			"ServiceAccount %q (of keys.claviger.dev) does not exist yet: the key is issued once it does", ref.Name))
	}
	return warnings
}

func endless(key *v1alpha1.ApiKey, refs validation.References) admission.Warnings {
	if refs.Workspace == nil || key.Spec.State == v1alpha1.KeyRevoked ||
		validation.ApprovedEnd(key, refs.Workspace, refs.IssuedAt) != nil {
		return nil
	}
	return admission.Warnings{"the key never expires: set ttl or expiresAt, or a defaultTTL in its Workspace"}
}

// surprises are what a change does not do, though one might think so. Old is nil where the key is new.
func surprises(old, key *v1alpha1.ApiKey) (warnings admission.Warnings) {
	var before v1alpha1.ApiKey
	if old != nil {
		before = *old
	}
	asked := key.Annotations[v1alpha1.AnnotationRegenerate]
	regenerate := asked != "" && asked != before.Annotations[v1alpha1.AnnotationRegenerate]
	if s := key.Spec.Source; s != nil {
		if regenerate {
			warnings = append(warnings, "a key that is brought along cannot be made anew: change spec.source instead")
		}
		if s.SHA256 != "" && s.Hint == "" && (before.Spec.Source == nil || before.Spec.Source.SHA256 != s.SHA256 || before.Spec.Source.Hint != "") {
			warnings = append(warnings, "a key known by its hash alone counts as legacy: if it is of Claviger's format, set spec.source.hint")
		}
	}
	if old != nil && !regenerate && !slices.Equal(before.Spec.Delivery.Recipients, key.Spec.Delivery.Recipients) {
		warnings = append(warnings, fmt.Sprintf(
			"the other recipients take effect with the next key, and those that were removed can read this one: change the annotation %s to have it made now",
			v1alpha1.AnnotationRegenerate))
	}
	return warnings
}

// forgetful warns of a policy that deletes ApiKeys. Old is nil where the workspace is new.
func forgetful(old, workspace *v1alpha1.Workspace) admission.Warnings {
	if workspace.Spec.Keys.RetainExpired == nil || old != nil && old.Spec.Keys.RetainExpired != nil {
		return nil
	}
	return admission.Warnings{"keys.retainExpired deletes ApiKeys after their end: where they are applied from Git, they come back, as new keys"}
}
