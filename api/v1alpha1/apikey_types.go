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

	// Delivery is how the key reaches those who use it.
	// +kubebuilder:default={}
	// +optional
	Delivery Delivery `json:"delivery,omitempty"`
}

// CIDR is a network in CIDR notation, IPv4 or IPv6.
// +kubebuilder:validation:MaxLength=43
// +kubebuilder:validation:XValidation:rule="isCIDR(self)",message="must be a network such as 10.0.0.0/8 or 2001:db8::/32"
type CIDR string

// MetadataValue is a short text.
// +kubebuilder:validation:MaxLength=512
type MetadataValue string

// DeletionPolicy decides what becomes of the delivered Secret when its ApiKey is deleted.
// +kubebuilder:validation:Enum=Delete;Retain
type DeletionPolicy string

const (
	DeletionDelete DeletionPolicy = "Delete"
	// DeletionRetain leaves the Secret. The key in it no longer works: deleting an ApiKey
	// always revokes.
	DeletionRetain DeletionPolicy = "Retain"
)

// OnLoss decides what to do when somebody deleted the delivered Secret.
// +kubebuilder:validation:Enum=Rotate;Fail
type OnLoss string

const (
	// OnLossRotate issues a new key into a new Secret, and the lost one stops working.
	OnLossRotate OnLoss = "Rotate"
	// OnLossFail reports the loss and leaves the lost key working for whoever has it.
	OnLossFail OnLoss = "Fail"
)

// Delivery puts a key into a Secret in the ApiKey's namespace, under the data keys api-key
// and key-id.
// +kubebuilder:validation:XValidation:rule="has(self.secretName) == has(oldSelf.secretName) && (!has(self.secretName) || self.secretName == oldSelf.secretName)",message="secretName cannot be changed: those who use the key know it by this name; create another ApiKey",fieldPath=".secretName"
type Delivery struct {
	// SecretName is the name of the Secret, by default the ApiKey's. It cannot be changed. A Secret of
	// that name which is not this ApiKey's own is never touched.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	SecretName string `json:"secretName,omitempty"`

	// Labels to put on the Secret besides Claviger's own.
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('keys.claviger.dev/'))",message="labels under keys.claviger.dev/ are Claviger's own"
	// +optional
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// Annotations to put on the Secret besides Claviger's own.
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('keys.claviger.dev/'))",message="annotations under keys.claviger.dev/ are Claviger's own"
	// +optional
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`

	// DeletionPolicy is Delete (the Secret goes with the ApiKey) or Retain (it stays, with
	// a key that no longer works).
	// +kubebuilder:default=Delete
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// OnLoss is Rotate (a deleted Secret is replaced by one with a new key, and the old key
	// stops working) or Fail (the loss is only reported).
	// +kubebuilder:default=Rotate
	// +optional
	OnLoss OnLoss `json:"onLoss,omitempty"`
}

// LabelValue is the value of a label.
// +kubebuilder:validation:MaxLength=63
type LabelValue string

// AnnotationValue is the value of an annotation.
// +kubebuilder:validation:MaxLength=4096
type AnnotationValue string

// ApiKeyStatus is what Claviger has made of a key. All of it but the usage can be
// rebuilt from the Secrets.
type ApiKeyStatus struct {
	// ObservedGeneration is the generation of the spec this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// KeyID identifies the key wherever it is counted or reported. It never changes, and
	// it is no secret.
	// +optional
	KeyID string `json:"keyID,omitempty"`

	// Hint is enough of the key to recognise it: its prefix and its last four characters.
	// +optional
	Hint string `json:"hint,omitempty"`

	// State is Pending, Active, Disabled, Revoked, Expired, WorkspaceSuspended or
	// ServiceAccountSuspended.
	// +optional
	State string `json:"state,omitempty"`

	// IssuedAt is when the key was made.
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9999-01-01T00:00:00Z')",message="must be a time from 1970 to 9998, for example 2027-01-31T12:00:00Z"
	// +optional
	IssuedAt *metav1.Time `json:"issuedAt,omitempty"`

	// ExpiresAt is when the key stops working, whatever set the end.
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9999-01-01T00:00:00Z')",message="must be a time from 1970 to 9998, for example 2027-01-31T12:00:00Z"
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`

	// SecretName is the Secret that holds the key.
	// +optional
	SecretName string `json:"secretName,omitempty"`

	// Usage is what the verifiers have counted. It follows within about a minute and is for
	// reading only: limits are not enforced from it.
	// +optional
	Usage *KeyUsage `json:"usage,omitempty"`

	// Conditions: Ready, Active and, while a person must act, Stalled.
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(c, c.lastTransitionTime >= timestamp('1970-01-01T00:00:00Z') && c.lastTransitionTime < timestamp('9999-01-01T00:00:00Z'))",message="must have a time from 1970 to 9998, for example 2027-01-31T12:00:00Z"
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// KeyUsage is what the verifiers counted for a key.
type KeyUsage struct {
	// Period is the current calendar month in UTC.
	// +optional
	Period UsagePeriod `json:"period,omitempty"`

	// Total is all that was counted since the key was issued.
	// +optional
	Total UsageCounts `json:"total,omitempty"`

	// Remaining is how many requests the tightest of the key's limits had left when the key was
	// last used; at resetAt that limit is whole again. Budgets are told apart from it, in
	// remainingMicrocents.
	// +optional
	Remaining *int64 `json:"remaining,omitempty"`

	// ResetAt is when the limit that Remaining speaks of is whole again.
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9999-01-01T00:00:00Z')",message="must be a time from 1970 to 9998, for example 2027-01-31T12:00:00Z"
	// +optional
	ResetAt *metav1.Time `json:"resetAt,omitempty"`

	// RemainingMicrocents is what was left of the key's budget when the key was last used, of several
	// that of which the least was, in microcents: 100000000 of them are one dollar.
	// +optional
	RemainingMicrocents *int64 `json:"remainingMicrocents,omitempty"`

	// BudgetResetAt is when the budget that RemainingMicrocents speaks of begins anew.
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9999-01-01T00:00:00Z')",message="must be a time from 1970 to 9998, for example 2027-01-31T12:00:00Z"
	// +optional
	BudgetResetAt *metav1.Time `json:"budgetResetAt,omitempty"`

	// Exhausted is the quota or budget that the key has used up, while it has.
	// +optional
	Exhausted *ExhaustedLimit `json:"exhausted,omitempty"`

	// LastUsedAt is when the key was last presented, whatever the answer.
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9999-01-01T00:00:00Z')",message="must be a time from 1970 to 9998, for example 2027-01-31T12:00:00Z"
	// +optional
	LastUsedAt *metav1.Time `json:"lastUsedAt,omitempty"`
}

// The reasons of an ExhaustedLimit, and of the Event that tells when a key has come to that.
const (
	ReasonQuotaExhausted  = "QuotaExhausted"
	ReasonBudgetExhausted = "BudgetExhausted"
)

// ExhaustedLimit is a quota or a budget that was used up.
type ExhaustedLimit struct {
	// Limit is the name of the KeyLimit.
	Limit string `json:"limit"`

	// Reason is QuotaExhausted or BudgetExhausted.
	Reason string `json:"reason"`

	// ResetAt is when its next period begins.
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9999-01-01T00:00:00Z')",message="must be a time from 1970 to 9998, for example 2027-01-31T12:00:00Z"
	ResetAt metav1.Time `json:"resetAt"`
}

// UsagePeriod is usage from a start on.
type UsagePeriod struct {
	// Start of the period.
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9999-01-01T00:00:00Z')",message="must be a time from 1970 to 9998, for example 2027-01-31T12:00:00Z"
	// +optional
	Start *metav1.Time `json:"start,omitempty"`

	UsageCounts `json:",inline"`
}

// UsageCounts counts decisions. A request is counted once, under one of these.
type UsageCounts struct {
	// Requests that were allowed.
	// +optional
	Requests int64 `json:"requests"`
	// Denied requests.
	// +optional
	Denied int64 `json:"denied"`
}

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
