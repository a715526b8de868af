package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Environment tells keys for real traffic from keys for trying things out.
// +kubebuilder:validation:Enum=live;test
type Environment string

const (
	EnvironmentLive Environment = "live"
	EnvironmentTest Environment = "test"
)

// KeyState is what a person wants of a key.
// +kubebuilder:validation:Enum=Active;Disabled;Revoked
type KeyState string

const (
	KeyActive KeyState = "Active"
	// KeyDisabled stops a key for as long as it is set.
	KeyDisabled KeyState = "Disabled"
	// KeyRevoked stops a key for good.
	KeyRevoked KeyState = "Revoked"
)

// ApiKeySpec is what a key shall be and may do.
// +kubebuilder:validation:XValidation:rule="!(has(self.expiresAt) && has(self.ttl))",message="set expiresAt or ttl, not both"
// +kubebuilder:validation:XValidation:rule="has(self.prefix) == has(oldSelf.prefix) && (!has(self.prefix) || self.prefix == oldSelf.prefix)",message="prefix cannot be changed: it is part of the key; create another ApiKey",fieldPath=".prefix"
// +kubebuilder:validation:XValidation:rule="has(self.serviceAccountRef) == has(oldSelf.serviceAccountRef) && (!has(self.serviceAccountRef) || self.serviceAccountRef == oldSelf.serviceAccountRef)",message="serviceAccountRef cannot be changed: create another ApiKey",fieldPath=".serviceAccountRef"
// +kubebuilder:validation:XValidation:rule="has(self.source) == has(oldSelf.source)",message="source can be neither added nor removed: create another ApiKey",fieldPath=".source"
// +kubebuilder:validation:XValidation:rule="!has(self.source) || !has(self.rotation) || !has(self.rotation.every)",message="a key that is brought along is not made anew by time: remove rotation.every, and change its source instead",fieldPath=".rotation.every"
// +kubebuilder:validation:XValidation:rule="!has(self.source) || !has(self.delivery) || !has(self.delivery.type) || self.delivery.type == 'Secret'",message="a key that is brought along is not delivered: remove delivery.type",fieldPath=".delivery.type"
// +kubebuilder:validation:XValidation:rule="!has(self.rotation) || !has(self.rotation.every) || !has(self.ttl) || duration(self.rotation.every) < duration(self.ttl)",message="rotation.every must be shorter than ttl: the key would end before it is rotated",fieldPath=".rotation.every"
// +kubebuilder:validation:XValidation:rule="(has(self.entity) && self.entity.kind == 'User') == (has(oldSelf.entity) && oldSelf.entity.kind == 'User') && (!has(self.entity) || self.entity.kind != 'User' || self.entity.id == oldSelf.entity.id)",message="whose personal token a key is cannot be changed: create another ApiKey",fieldPath=".entity"
type ApiKeySpec struct {
	// WorkspaceRef names the Workspace the key belongs to. It cannot be changed.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="workspaceRef cannot be changed: create another ApiKey"
	WorkspaceRef LocalReference `json:"workspaceRef"`

	// DisplayName is what people call the key; changing it renames the key.
	// +kubebuilder:validation:MaxLength=200
	// +optional
	DisplayName string `json:"displayName,omitempty"`

	// Environment is part of the key: live or test. It cannot be changed.
	// +kubebuilder:default=live
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="environment cannot be changed: it is part of the key; create another ApiKey"
	// +optional
	Environment Environment `json:"environment,omitempty"`

	// Prefix begins the key, in place of the workspace's. It cannot be changed.
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:Pattern=`^[a-z][a-z0-9]*$`
	// +optional
	Prefix string `json:"prefix,omitempty"`

	// Scopes are what the key may do, each one within the workspace's catalogue and the
	// account's ceiling.
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	// +optional
	Scopes []Scope `json:"scopes,omitempty"`

	// Grants are what the key may do to single resources. A request that names no resource
	// is judged by the scopes alone. For one that does, the grant with the longest matching
	// resource stands in the place of the scopes, so that it can narrow them or widen them, still within
	// the workspace's catalogue and the account's ceiling; where none matches, the scopes hold. A
	// grant without scopes permits nothing, and a key with grants but no scopes
	// may be used on no other resource.
	// +listType=map
	// +listMapKey=resource
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Grants []Grant `json:"grants,omitempty"`

	// ExpiresAt is when the key stops working.
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9999-01-01T00:00:00Z')",message="must be a time from 1970 to 9998, for example 2027-01-31T12:00:00Z"
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`

	// TTL is how long the key works from when it was issued, for example 2160h.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('1s')",message="must be at least 1s, in hours, minutes and seconds: 2160h is 90 days"
	// +optional
	TTL *metav1.Duration `json:"ttl,omitempty"`

	// State is Active, Disabled (it can be made Active again) or Revoked (which is final).
	// +kubebuilder:default=Active
	// +kubebuilder:validation:XValidation:rule="oldSelf != 'Revoked' || self == 'Revoked'",message="a revoked key stays revoked: create another ApiKey"
	// +optional
	State KeyState `json:"state,omitempty"`

	// ServiceAccountRef names the ServiceAccount the key acts for. It cannot be changed.
	// +optional
	ServiceAccountRef *LocalReference `json:"serviceAccountRef,omitempty"`

	// Entity is to whom the key's usage is attributed, for example one agent or one member.
	// +optional
	Entity *Entity `json:"entity,omitempty"`

	// LimitRefs name KeyLimits that hold for this key, besides those of its account and
	// its workspace.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	// +optional
	LimitRefs []LocalReference `json:"limitRefs,omitempty"`

	// AllowedCIDRs are the only networks the key may be used from, for example 10.0.0.0/8
	// or 2001:db8::/32. Where it is empty, any.
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +optional
	AllowedCIDRs []CIDR `json:"allowedCIDRs,omitempty"`

	// Metadata is returned to whoever verifies the key. Do not put secrets here.
	// +kubebuilder:validation:MaxProperties=32
	// +optional
	Metadata map[string]MetadataValue `json:"metadata,omitempty"`

	// Rotation replaces the key by another one, by itself or with a while for both.
	// +optional
	Rotation *Rotation `json:"rotation,omitempty"`

	// Delivery is how the key reaches those who use it.
	// +kubebuilder:default={}
	// +optional
	Delivery Delivery `json:"delivery,omitempty"`

	// Source brings along a key that exists already, instead of having one made. Whether a key is
	// brought along cannot be changed; which one can, and is a rotation.
	// +optional
	Source *Source `json:"source,omitempty"`
}

// CIDR is a network in CIDR notation, IPv4 or IPv6.
// +kubebuilder:validation:MaxLength=43
// +kubebuilder:validation:XValidation:rule="isCIDR(self)",message="must be a network such as 10.0.0.0/8 or 2001:db8::/32"
type CIDR string

// MetadataValue is a short text.
// +kubebuilder:validation:MaxLength=512
type MetadataValue string

// ApiKey is one API key: made by Claviger, delivered into a Secret, verified by its hash.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=ak,categories=keys
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Hint",type=string,JSONPath=`.status.hint`
// +kubebuilder:printcolumn:name="Used",type=integer,JSONPath=`.status.usage.period.requests`
// +kubebuilder:printcolumn:name="Remaining",type=integer,JSONPath=`.status.usage.remaining`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.status.expiresAt`
// +kubebuilder:printcolumn:name="Last Used",type=date,JSONPath=`.status.usage.lastUsedAt`
// +kubebuilder:printcolumn:name="Workspace",type=string,JSONPath=`.spec.workspaceRef.name`,priority=1
// +kubebuilder:printcolumn:name="Secret",type=string,JSONPath=`.status.secretName`,priority=1
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ApiKey struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the key shall be.
	Spec ApiKeySpec `json:"spec"`
	// Status is what Claviger has made of it; only Claviger writes it.
	// +kubebuilder:default={}
	// +optional
	Status ApiKeyStatus `json:"status,omitempty"`
}

// SecretName is the name of the Secret the key is delivered to.
func (k *ApiKey) SecretName() string {
	if k.Spec.Delivery.SecretName != "" {
		return k.Spec.Delivery.SecretName
	}
	return k.Name
}

// ApiKeyList is a list of ApiKeys.
// +kubebuilder:object:root=true
type ApiKeyList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ApiKey `json:"items"`
}
