package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AnnotationRegenerate, on an ApiKey, asks for another key whenever its value changes: any text
// will do, the time for example. On a ServiceAccount with a token it renews that.
const AnnotationRegenerate = "keys.claviger.dev/regenerate"

// Rotation replaces a key by another one. The key ID stays, and so does the name of the
// Secret.
// +kubebuilder:validation:XValidation:rule="!has(self.every) || !has(self.overlap) || duration(self.overlap) < duration(self.every)",message="overlap must be shorter than every",fieldPath=".overlap"
// +kubebuilder:validation:XValidation:rule="!has(self.endWhenUnusedFor) || has(self.overlap)",message="endWhenUnusedFor ends an overlap early: set overlap, too",fieldPath=".overlap"
// +kubebuilder:validation:XValidation:rule="!has(self.keepPrevious) || !self.keepPrevious || has(self.overlap)",message="keepPrevious holds for the overlap: set overlap, too",fieldPath=".overlap"
type Rotation struct {
	// Every is how old a key gets before another one is made, for example 720h. Unset, only the annotation
	// keys.claviger.dev/regenerate asks for one.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('1m')",message="must be at least 1m, in hours, minutes and seconds: 2160h is 90 days"
	// +optional
	Every *metav1.Duration `json:"every,omitempty"`

	// Overlap is for how long the key that was replaced works beside the new one, for example
	// 24h. Unset, it stops as soon as the new one is delivered.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('1s')",message="must be at least 1s, in hours, minutes and seconds: 2160h is 90 days"
	// +optional
	Overlap *metav1.Duration `json:"overlap,omitempty"`

	// EndWhenUnusedFor ends the overlap early, once nobody has used the replaced key for so long.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('1s')",message="must be at least 1s, in hours, minutes and seconds: 2160h is 90 days"
	// +optional
	EndWhenUnusedFor *metav1.Duration `json:"endWhenUnusedFor,omitempty"`

	// KeepPrevious keeps the replaced key in the Secret during the overlap, under the data key
	// previous-api-key.
	// +optional
	KeepPrevious bool `json:"keepPrevious,omitempty"`
}
