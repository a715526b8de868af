package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ServiceAccountSpec is what a machine identity may do.
type ServiceAccountSpec struct {
	// WorkspaceRef names the Workspace the account belongs to. It cannot be changed.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="workspaceRef cannot be changed: create another ServiceAccount"
	WorkspaceRef LocalReference `json:"workspaceRef"`

	// DisplayName is what people call the account.
	// +kubebuilder:validation:MaxLength=200
	// +optional
	DisplayName string `json:"displayName,omitempty"`

	// Scopes is the ceiling for the account's keys: none of them may do more, and taking a
	// scope away takes it from all of them at once. Where it is empty, the workspace's catalogue is the ceiling.
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	// +optional
	Scopes []Scope `json:"scopes,omitempty"`

	// Grants are the ceiling for single resources. For a request that names a resource, the
	// grant with the longest matching one stands in the place of the scopes as the ceiling; without scopes
	// it lets no key of the account do anything there. Where none matches, the scopes are the ceiling.
	// +listType=map
	// +listMapKey=resource
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Grants []Grant `json:"grants,omitempty"`

	// Suspended stops every key of the account within a second; unsetting it lets them work
	// again.
	// +optional
	Suspended bool `json:"suspended,omitempty"`

	// MaxActiveKeys is how many keys the account may have that are neither revoked nor expired.
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	// +optional
	MaxActiveKeys int32 `json:"maxActiveKeys,omitempty"`

	// LimitRefs name KeyLimits that hold for every key of the account; with sharing Shared,
	// for all of them together.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	// +optional
	LimitRefs []LocalReference `json:"limitRefs,omitempty"`
}

// ServiceAccountStatus is what Claviger has seen of an account.
type ServiceAccountStatus struct {
	// ObservedGeneration is the generation of the spec this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// ActiveKeys counts the account's keys that work now.
	// +optional
	ActiveKeys int32 `json:"activeKeys"`

	// Conditions: Ready, Active and, while a person must act, Stalled.
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(c, c.lastTransitionTime >= timestamp('1970-01-01T00:00:00Z') && c.lastTransitionTime < timestamp('9999-01-01T00:00:00Z'))",message="must have a time from 1970 to 9998, for example 2027-01-31T12:00:00Z"
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ServiceAccount is a machine identity, not a person: a ceiling and a kill switch for the
// keys that refer to it. It is not a Kubernetes service account.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=ksa,categories=keys
// +kubebuilder:printcolumn:name="Workspace",type=string,JSONPath=`.spec.workspaceRef.name`
// +kubebuilder:printcolumn:name="Active",type=string,JSONPath=`.status.conditions[?(@.type=="Active")].status`
// +kubebuilder:printcolumn:name="Keys",type=integer,JSONPath=`.status.activeKeys`
// +kubebuilder:printcolumn:name="Max",type=integer,JSONPath=`.spec.maxActiveKeys`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ServiceAccount struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the account shall be.
	Spec ServiceAccountSpec `json:"spec"`
	// Status is what Claviger has seen; only Claviger writes it.
	// +optional
	Status ServiceAccountStatus `json:"status,omitempty"`
}

// ServiceAccountList is a list of ServiceAccounts.
// +kubebuilder:object:root=true
type ServiceAccountList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ServiceAccount `json:"items"`
}
