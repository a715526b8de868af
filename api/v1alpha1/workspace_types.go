package v1alpha1

import (
	"slices"

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
}

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
}

// WorkspaceStatus is what Claviger has seen of a workspace.
type WorkspaceStatus struct {
	// ObservedGeneration is the generation of the spec this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// ID is "namespace/name": what a request carries in X-Workspace-Id.
	// +optional
	ID string `json:"id,omitempty"`

	// Keys counts the workspace's keys by state.
	// +optional
	Keys KeyCounts `json:"keys,omitempty"`

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
	// +optional
	Status WorkspaceStatus `json:"status,omitempty"`
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
