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

	// Token has an ApiKey of the account's own name kept for it, with all that the account may do.
	// Unset, there is none, and one that was is deleted.
	// +optional
	Token *AccountToken `json:"token,omitempty"`
}

// AccountToken is the key that is kept for an account. A changed annotation
// keys.claviger.dev/regenerate of the account renews it, and the old one stops at once.
type AccountToken struct {
	// TTL is how long a token works from when it was issued or renewed: a year, unless it is set.
	// +kubebuilder:default="8760h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('1s')",message="must be at least 1s, in hours, minutes and seconds: 2160h is 90 days"
	// +optional
	TTL *metav1.Duration `json:"ttl,omitempty"`

	// Environment is part of the token: live or test. It cannot be changed.
	// +kubebuilder:default=live
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="environment cannot be changed: it is part of the token; create another ServiceAccount"
	// +optional
	Environment Environment `json:"environment,omitempty"`

	// Delivery is how the token reaches those who use it.
	// +kubebuilder:default={}
	// +optional
	Delivery Delivery `json:"delivery,omitempty"`
}

// AccountTokenStatus tells of the key that is kept for an account.
type AccountTokenStatus struct {
	// ApiKeyName is the name of the ApiKey.
	ApiKeyName string `json:"apiKeyName"`

	// KeyID is that key's ID.
	// +optional
	KeyID string `json:"keyID,omitempty"`

	// ExpiresAt is when the token stops working.
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9999-01-01T00:00:00Z')",message="must be a time from 1970 to 9998, for example 2027-01-31T12:00:00Z"
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
}

// ServiceAccountStatus is what Claviger has seen of an account.
type ServiceAccountStatus struct {
	// ObservedGeneration is the generation of the spec this status speaks of; 0 before Claviger has looked at it.
	// +kubebuilder:default=0
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// ActiveKeys counts the account's keys that work now.
	// +optional
	ActiveKeys int32 `json:"activeKeys"`

	// Token is the key that is kept for the account.
	// +optional
	Token *AccountTokenStatus `json:"token,omitempty"`

	// Usage is what the verifiers have counted of all keys of the account, deleted ones among them. It follows
	// within about a minute and is for reading only.
	// +optional
	Usage *GroupUsage `json:"usage,omitempty"`

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
// +kubebuilder:printcolumn:name="Requests",type=integer,JSONPath=`.status.usage.period.requests`,priority=1
// +kubebuilder:printcolumn:name="Spend",type=integer,JSONPath=`.status.usage.period.spendMicrocents`,priority=1
// +kubebuilder:printcolumn:name="Last Used",type=date,JSONPath=`.status.usage.lastUsedAt`,priority=1
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ServiceAccount struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the account shall be.
	Spec ServiceAccountSpec `json:"spec"`
	// Status is what Claviger has seen; only Claviger writes it.
	// +kubebuilder:default={}
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
