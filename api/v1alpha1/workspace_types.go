package v1alpha1

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WorkspaceSpec is what a tenant is and which keys it may have.
type WorkspaceSpec struct {
	// DisplayName is what people call the workspace.
	// +kubebuilder:validation:MaxLength=200
	// +optional
	DisplayName string `json:"displayName,omitempty"`

	// Suspended stops every key of the workspace within a second; unsetting it lets them
	// work again.
	// +optional
	Suspended bool `json:"suspended,omitempty"`

	// Scopes is the catalogue: the scopes that keys of this workspace may have. Where it is
	// empty, any well-formed scope may be used.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=500
	// +optional
	Scopes []ScopeDefinition `json:"scopes,omitempty"`

	// Keys is the policy for the workspace's keys.
	// +optional
	Keys KeyPolicy `json:"keys,omitempty"`

	// LimitRefs name KeyLimits that hold for every key of the workspace; with sharing
	// Shared, for all of them together.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	// +optional
	LimitRefs []LocalReference `json:"limitRefs,omitempty"`

	// Departments name KeyLimits for the keys of one department each: those whose
	// entity.department is its name.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=500
	// +optional
	Departments []DepartmentLimits `json:"departments,omitempty"`

	// Entities name KeyLimits for the keys of one entity each: those whose entity is of that
	// kind and ID.
	// +listType=map
	// +listMapKey=kind
	// +listMapKey=id
	// +kubebuilder:validation:MaxItems=1000
	// +optional
	Entities []EntityLimits `json:"entities,omitempty"`

	// Billing says which periods usage is counted in, in the statuses of the workspace, its keys and its
	// ServiceAccounts. By default these are calendar months in UTC.
	// +optional
	Billing *Billing `json:"billing,omitempty"`

	// Usage says what is kept of the workspace's requests, besides the sums.
	// +optional
	Usage *UsagePolicy `json:"usage,omitempty"`

	// DeletionPolicy is Refuse (the workspace is not deleted while it has keys) or Cascade (its keys are
	// deleted with it).
	// +kubebuilder:default=Refuse
	// +optional
	DeletionPolicy WorkspaceDeletionPolicy `json:"deletionPolicy,omitempty"`
}

// WorkspaceDeletionPolicy decides about deleting a Workspace that has keys.
// +kubebuilder:validation:Enum=Refuse;Cascade
type WorkspaceDeletionPolicy string

const (
	// WorkspaceRefuse keeps the Workspace for as long as it has keys.
	WorkspaceRefuse WorkspaceDeletionPolicy = "Refuse"
	// WorkspaceCascade deletes its keys with it.
	WorkspaceCascade WorkspaceDeletionPolicy = "Cascade"
)

// DepartmentLimits are the limits of one department.
type DepartmentLimits struct {
	// Name of the department, as ApiKeys have it in entity.department.
	Name EntityID `json:"name"`

	// LimitRefs name KeyLimits that hold for every key of the department; with sharing
	// Shared, for all of them together.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	LimitRefs []LocalReference `json:"limitRefs"`
}

// EntityLimits are the limits of one entity.
type EntityLimits struct {
	// Kind of the entity, as ApiKeys have it in entity.kind.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Z][A-Za-z0-9]*$`
	Kind string `json:"kind"`

	// ID of the entity, as ApiKeys have it in entity.id.
	ID EntityID `json:"id"`

	// LimitRefs name KeyLimits that hold for every key of the entity; with sharing Shared,
	// for all of them together.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	LimitRefs []LocalReference `json:"limitRefs"`
}

// ScopeDefinition is one entry of a workspace's catalogue.
type ScopeDefinition struct {
	// Name is the scope, without wildcards.
	// +kubebuilder:validation:XValidation:rule="!self.contains('*')",message="a catalogue entry names one scope and has no wildcards"
	Name Scope `json:"name"`

	// Description tells a person what the scope permits.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Description string `json:"description,omitempty"`

	// Implies are the scopes that come with this one.
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	// +optional
	Implies []Scope `json:"implies,omitempty"`
}

// KeyPolicy is what a workspace decides about its keys. Changing it governs keys issued
// or changed from then on; it ends none that exists.
// +kubebuilder:validation:XValidation:rule="!has(self.defaultTTL) || !has(self.maxTTL) || duration(self.defaultTTL) <= duration(self.maxTTL)",message="defaultTTL must not be longer than maxTTL"
type KeyPolicy struct {
	// Prefix begins each key that does not choose its own.
	// +kubebuilder:default=ak
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:Pattern=`^[a-z][a-z0-9]*$`
	// +optional
	Prefix string `json:"prefix,omitempty"`

	// DefaultTTL is how long a key lives that sets neither ttl nor expiresAt, for example
	// 2160h. Unset, such a key does not expire.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('1s')",message="must be at least 1s, in hours, minutes and seconds: 2160h is 90 days"
	// +optional
	DefaultTTL *metav1.Duration `json:"defaultTTL,omitempty"`

	// MaxTTL is the longest a key may live from when it was issued. Where it is set, a key must have
	// an end: its own or the default.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('1s')",message="must be at least 1s, in hours, minutes and seconds: 2160h is 90 days"
	// +optional
	MaxTTL *metav1.Duration `json:"maxTTL,omitempty"`

	// MaxKeys is how many keys the workspace may have that are neither revoked nor expired.
	// +kubebuilder:validation:Minimum=1
	// +optional
	MaxKeys *int32 `json:"maxKeys,omitempty"`

	// AllowedDelivery are the ways for its keys to reach their users: Secret, Sealed, and Source for keys that
	// are brought along. Where it is empty, all of them.
	// +listType=set
	// +kubebuilder:validation:MaxItems=3
	// +optional
	AllowedDelivery []AllowedDelivery `json:"allowedDelivery,omitempty"`

	// Delegation is None (whoever may create keys may give them any scope of the catalogue) or Required (only
	// scopes that they may grant themselves, by the verb grant on scopes.keys.claviger.dev, with the scope as
	// the resource's name).
	// +kubebuilder:default=None
	// +optional
	Delegation Delegation `json:"delegation,omitempty"`

	// ExpiryWarnings are how long before a key's end a warning is given: 14 days and one day, unless they
	// are set.
	// +kubebuilder:validation:MaxItems=8
	// +listType=atomic
	// +optional
	ExpiryWarnings []WarningTime `json:"expiryWarnings,omitempty"`

	// UnusedAfter is after how long without use a key is told to be Unused, for example 720h. Unset,
	// none is.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('1s')",message="must be at least 1s, in hours, minutes and seconds: 2160h is 90 days"
	// +optional
	UnusedAfter *metav1.Duration `json:"unusedAfter,omitempty"`

	// RetainExpired is for how long ApiKeys are kept after their key expired; then the operator deletes
	// them. Unset, they stay. Do not set it where keys are applied from Git: what is deleted would
	// be applied again, as a new key.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('1s')",message="must be at least 1s, in hours, minutes and seconds: 2160h is 90 days"
	// +optional
	RetainExpired *metav1.Duration `json:"retainExpired,omitempty"`
}

// WarningTime is how long before a key's end a warning is given, for example 336h.
// +kubebuilder:validation:MaxLength=32
// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('1s')",message="must be at least 1s, in hours, minutes and seconds: 336h is 14 days"
type WarningTime string

// AllowedDelivery is a way for a key to reach its users.
// +kubebuilder:validation:Enum=Secret;Sealed;Source
type AllowedDelivery string

// The ways there are.
const (
	AllowSecret AllowedDelivery = "Secret"
	AllowSealed AllowedDelivery = "Sealed"
	AllowSource AllowedDelivery = "Source"
)

// Delegation says which scopes people may give to keys.
// +kubebuilder:validation:Enum=None;Required
type Delegation string

const (
	// DelegationNone asks nobody.
	DelegationNone Delegation = "None"
	// DelegationRequired asks Kubernetes whether they may grant each scope.
	DelegationRequired Delegation = "Required"
)

// WorkspaceStatus is what Claviger has seen of a workspace.
type WorkspaceStatus struct {
	// ObservedGeneration is the generation of the spec this status speaks of; 0 before Claviger has looked at it.
	// +kubebuilder:default=0
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// ID is "namespace/name": what a request carries in X-Workspace-Id.
	// +optional
	ID string `json:"id,omitempty"`

	// Keys counts the workspace's keys by state.
	// +optional
	Keys KeyCounts `json:"keys,omitempty"`

	// Usage is what the verifiers have counted of all keys of the workspace, deleted ones among them. It follows
	// within about a minute and is for reading only: limits are not enforced from it.
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

// KeyCounts counts keys by state.
type KeyCounts struct {
	// Total counts all keys, whatever their state.
	Total int32 `json:"total"`
	// Active counts the keys that work now.
	Active int32 `json:"active"`
	// Expired counts the keys whose time is over.
	Expired int32 `json:"expired"`
	// Revoked counts the keys that were revoked and are still declared.
	Revoked int32 `json:"revoked"`
	// Legacy counts the keys that were brought along and are not of Claviger's format.
	// +optional
	Legacy int32 `json:"legacy"`
}

// Workspace is a tenant: whom keys belong to, which scopes there are and what its keys
// may be like.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=kws,categories=keys
// +kubebuilder:printcolumn:name="Display Name",type=string,JSONPath=`.spec.displayName`
// +kubebuilder:printcolumn:name="Active",type=string,JSONPath=`.status.conditions[?(@.type=="Active")].status`
// +kubebuilder:printcolumn:name="Keys",type=integer,JSONPath=`.status.keys.total`
// +kubebuilder:printcolumn:name="Working",type=integer,JSONPath=`.status.keys.active`
// +kubebuilder:printcolumn:name="Requests",type=integer,JSONPath=`.status.usage.period.requests`,priority=1
// +kubebuilder:printcolumn:name="Spend",type=integer,JSONPath=`.status.usage.period.spendMicrocents`,priority=1
// +kubebuilder:printcolumn:name="Last Used",type=date,JSONPath=`.status.usage.lastUsedAt`,priority=1
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Workspace struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the workspace shall be.
	// +optional
	Spec WorkspaceSpec `json:"spec,omitempty"`
	// Status is what Claviger has seen; only Claviger writes it.
	// +kubebuilder:default={}
	// +optional
	Status WorkspaceStatus `json:"status,omitempty"`
}

// defaultExpiryWarnings are 14 days and one day.
var defaultExpiryWarnings = []time.Duration{14 * 24 * time.Hour, 24 * time.Hour}

// ExpiryWarnings are how long before a key's end a warning is given. One that cannot be read is left out.
func (w *Workspace) ExpiryWarnings() []time.Duration {
	if len(w.Spec.Keys.ExpiryWarnings) == 0 {
		return defaultExpiryWarnings
	}
	warnings := make([]time.Duration, 0, len(w.Spec.Keys.ExpiryWarnings))
	for _, text := range w.Spec.Keys.ExpiryWarnings {
		if warning, err := time.ParseDuration(string(text)); err == nil {
			warnings = append(warnings, warning)
		}
	}
	return warnings
}

// AllLimitRefs name every KeyLimit that the workspace refers to, for all of its keys or for some, each once.
func (w *Workspace) AllLimitRefs() []LocalReference {
	var all []LocalReference
	add := func(refs []LocalReference) {
		for _, ref := range refs {
			if !slices.Contains(all, ref) {
				all = append(all, ref)
			}
		}
	}
	add(w.Spec.LimitRefs)
	for _, d := range w.Spec.Departments {
		add(d.LimitRefs)
	}
	for _, e := range w.Spec.Entities {
		add(e.LimitRefs)
	}
	return all
}

// WorkspaceList is a list of Workspaces.
// +kubebuilder:object:root=true
type WorkspaceList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Workspace `json:"items"`
}
