package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Sharing decides whose requests a KeyLimit counts together.
// +kubebuilder:validation:Enum=PerKey;Shared
type Sharing string

const (
	// SharingPerKey gives each key an allowance of its own.
	SharingPerKey Sharing = "PerKey"
	// SharingShared gives one allowance to all keys of whoever refers to the limit: of the
	// Workspace, of the ServiceAccount, or of the one ApiKey.
	SharingShared Sharing = "Shared"
)

// KeyLimitSpec is how much may be asked for. A request must fit every limit that holds
// for it, and one that is refused is counted by none.
type KeyLimitSpec struct {
	// Enabled turns the limit off when false, without detaching it.
	// +kubebuilder:default=true
	// +optional
	Enabled *bool `json:"enabled,omitempty"`

	// Rates are how many requests may come in how long.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Rates []Rate `json:"rates"`

	// Sharing is PerKey (an allowance for each key) or Shared (one for all keys of whoever
	// refers to this limit).
	// +kubebuilder:default=PerKey
	// +optional
	Sharing Sharing `json:"sharing,omitempty"`
}

// Rate is a number of requests in a span of time.
type Rate struct {
	// Requests that may come in each span.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000000
	Requests int64 `json:"requests"`

	// Per is the span, for example 1m: at least 1s, at most 744h.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('1s') && duration(self) <= duration('744h')",message="must be from 1s to 744h, in hours, minutes and seconds: 24h is a day"
	Per metav1.Duration `json:"per"`

	// Burst makes the rate a token bucket: so many requests may come at once, and
	// then requests/per of them flow in evenly. Without it the span is counted: at most
	// requests from the first one until per has passed, then anew.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000000
	// +optional
	Burst *int64 `json:"burst,omitempty"`
}

// KeyLimitStatus is what Claviger has seen of a limit.
type KeyLimitStatus struct {
	// ObservedGeneration is the generation of the spec this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// AttachedKeys counts the keys this limit holds for, directly or through their
	// ServiceAccount or Workspace.
	// +optional
	AttachedKeys int32 `json:"attachedKeys"`

	// Conditions: Ready, Active (false when not enabled) and, while a person must act, Stalled.
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(c, c.lastTransitionTime >= timestamp('1970-01-01T00:00:00Z') && c.lastTransitionTime < timestamp('9999-01-01T00:00:00Z'))",message="must have a time from 1970 to 9998, for example 2027-01-31T12:00:00Z"
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// KeyLimit limits the requests of the keys that it is attached to.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=kl,categories=keys
// +kubebuilder:printcolumn:name="Requests",type=integer,JSONPath=`.spec.rates[0].requests`
// +kubebuilder:printcolumn:name="Per",type=string,JSONPath=`.spec.rates[0].per`
// +kubebuilder:printcolumn:name="Sharing",type=string,JSONPath=`.spec.sharing`
// +kubebuilder:printcolumn:name="Enabled",type=boolean,JSONPath=`.spec.enabled`
// +kubebuilder:printcolumn:name="Keys",type=integer,JSONPath=`.status.attachedKeys`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type KeyLimit struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the limit shall be.
	Spec KeyLimitSpec `json:"spec"`
	// Status is what Claviger has seen; only Claviger writes it.
	// +optional
	Status KeyLimitStatus `json:"status,omitempty"`
}

// KeyLimitList is a list of KeyLimits.
// +kubebuilder:object:root=true
type KeyLimitList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []KeyLimit `json:"items"`
}
