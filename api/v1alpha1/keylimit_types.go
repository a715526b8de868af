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
	// Workspace, one of its departments or entities, the ServiceAccount, or the one ApiKey.
	SharingShared Sharing = "Shared"
)

// LimitMode decides what becomes of a request that does not fit.
// +kubebuilder:validation:Enum=Enforce;Shadow
type LimitMode string

const (
	// ModeEnforce refuses the request.
	ModeEnforce LimitMode = "Enforce"
	// ModeShadow lets it pass, and only counts that it would have been refused.
	ModeShadow LimitMode = "Shadow"
)

// Consistency decides how verifiers that share their limits count together.
// +kubebuilder:validation:Enum=Leased;Strict
type Consistency string

const (
	// ConsistencyLeased lets each verifier take a slice ahead of need, and decide in memory.
	ConsistencyLeased Consistency = "Leased"
	// ConsistencyStrict asks the shared store for each request.
	ConsistencyStrict Consistency = "Strict"
)

// KeyLimitSpec is how much may be asked for. A request must fit every limit that holds
// for it, and one that is refused is counted by none.
// +kubebuilder:validation:XValidation:rule="(has(self.rates) && size(self.rates) > 0) || has(self.quota) || has(self.concurrency)",message="state rates, quota or concurrency; to turn the limit off, set enabled: false"
type KeyLimitSpec struct {
	// Enabled turns the limit off when false, without detaching it.
	// +kubebuilder:default=true
	// +optional
	Enabled *bool `json:"enabled,omitempty"`

	// Mode is Enforce (a request that does not fit is refused) or Shadow (it passes, and is only
	// counted in status.usage.shadowDenied), to try a limit before it hurts anybody.
	// +kubebuilder:default=Enforce
	// +optional
	Mode LimitMode `json:"mode,omitempty"`

	// Rates are how many requests may come in how long. All of them hold.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +optional
	Rates []Rate `json:"rates,omitempty"`

	// Quota is how much may be used in each day, week or month.
	// +optional
	Quota *Quota `json:"quota,omitempty"`

	// Concurrency is how many requests may be under way at once.
	// +optional
	Concurrency *Concurrency `json:"concurrency,omitempty"`

	// Sharing is PerKey (an allowance for each key) or Shared (one for all keys of whoever
	// refers to this limit: a Workspace, one of its departments or entities, or a ServiceAccount).
	// +kubebuilder:default=PerKey
	// +optional
	Sharing Sharing `json:"sharing,omitempty"`

	// Consistency matters where verifiers share their limits in Valkey or Redis. Leased
	// (each verifier takes a slice ahead of need and decides in memory) costs a request nothing; Strict (the
	// store is asked for each request) costs a round trip, and is exact at every moment.
	// +kubebuilder:default=Leased
	// +optional
	Consistency Consistency `json:"consistency,omitempty"`
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

// ResetPeriod is how often a quota begins anew.
// +kubebuilder:validation:Enum=Daily;Weekly;Monthly
type ResetPeriod string

const (
	ResetDaily   ResetPeriod = "Daily"
	ResetWeekly  ResetPeriod = "Weekly"
	ResetMonthly ResetPeriod = "Monthly"
)

// Quota is how much may be used in each period of the calendar.
// +kubebuilder:validation:XValidation:rule="has(self.requests) || has(self.spendMicrocents)",message="state requests, spendMicrocents or both"
// +kubebuilder:validation:XValidation:rule="!has(self.anchorDay) || self.resetPeriod == 'Monthly' || self.resetPeriod == 'Weekly' && self.anchorDay <= 7",message="anchorDay is a day of the month (1 to 31) with Monthly, a day of the week (1 is Monday, 7 is Sunday) with Weekly, and must be left out with Daily"
type Quota struct {
	// Requests that may come in each period.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=250000000000000
	// +optional
	Requests *int64 `json:"requests,omitempty"`

	// SpendMicrocents is the budget of each period: what requests may cost, in microcents (100000000
	// of them are one dollar). What a request costs may be stated when it is verified, or reported
	// afterwards; the request that crosses the budget passes then, and the next does not.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=250000000000000
	// +optional
	SpendMicrocents *int64 `json:"spendMicrocents,omitempty"`

	// ResetPeriod is Daily, Weekly or Monthly: a calendar month, however long it is.
	// +kubebuilder:default=Monthly
	// +optional
	ResetPeriod ResetPeriod `json:"resetPeriod,omitempty"`

	// AnchorDay is the day on which a period begins, at its first instant: of the month (1 to 31; in a shorter
	// month its last day) or of the week (1 is Monday, 7 is Sunday).
	// By default the first.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=31
	// +optional
	AnchorDay *int32 `json:"anchorDay,omitempty"`

	// TimeZone is whose days these are: a name of the IANA time zone database, for example
	// Europe/Berlin. By default UTC.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	TimeZone string `json:"timeZone,omitempty"`
}

// Concurrency is how many requests may be under way at once. A request is, from when it was
// verified until it is reported done (POST /v1/usage), or Timeout has passed.
type Concurrency struct {
	// Requests that may be under way at once.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	Requests int64 `json:"requests"`

	// Timeout is after how long a request that nobody reported done is taken to be, for
	// example 30s: at least 1s, at most 24h.
	// +kubebuilder:default="1m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="must be from 1s to 24h, in hours, minutes and seconds"
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`
}

// LimitUsage is what the verifiers have counted of a limit. It follows within about a minute.
type LimitUsage struct {
	// ThrottledKeys are held back by a rate or by concurrency now: they were refused, and would be
	// again, or were within the last half minute.
	// +optional
	ThrottledKeys int32 `json:"throttledKeys"`

	// ExhaustedKeys have used up a quota or a budget: they were refused, and will be until it
	// begins anew.
	// +optional
	ExhaustedKeys int32 `json:"exhaustedKeys"`

	// Denied counts the requests that this limit has refused since it was made.
	// +optional
	Denied int64 `json:"denied"`

	// ShadowDenied counts the requests that it would have refused, had its mode not been Shadow.
	// +optional
	ShadowDenied int64 `json:"shadowDenied"`
}

// KeyLimitStatus is what Claviger has seen of a limit.
type KeyLimitStatus struct {
	// ObservedGeneration is the generation of the spec this status speaks of; 0 before Claviger has looked at it.
	// +kubebuilder:default=0
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// AttachedKeys counts the keys this limit holds for, directly or through their
	// ServiceAccount or Workspace.
	// +optional
	AttachedKeys int32 `json:"attachedKeys"`

	// Usage is what the verifiers have counted.
	// +optional
	Usage *LimitUsage `json:"usage,omitempty"`

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
// +kubebuilder:printcolumn:name="Quota",type=integer,JSONPath=`.spec.quota.requests`
// +kubebuilder:printcolumn:name="Budget",type=integer,JSONPath=`.spec.quota.spendMicrocents`
// +kubebuilder:printcolumn:name="Sharing",type=string,JSONPath=`.spec.sharing`
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Keys",type=integer,JSONPath=`.status.attachedKeys`
// +kubebuilder:printcolumn:name="Throttled",type=integer,JSONPath=`.status.usage.throttledKeys`
// +kubebuilder:printcolumn:name="Exhausted",type=integer,JSONPath=`.status.usage.exhaustedKeys`
// +kubebuilder:printcolumn:name="Enabled",type=boolean,JSONPath=`.spec.enabled`,priority=1
// +kubebuilder:printcolumn:name="Consistency",type=string,JSONPath=`.spec.consistency`,priority=1
// +kubebuilder:printcolumn:name="Shadow Denied",type=integer,JSONPath=`.status.usage.shadowDenied`,priority=1
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type KeyLimit struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the limit shall be.
	Spec KeyLimitSpec `json:"spec"`
	// Status is what Claviger has seen; only Claviger writes it.
	// +kubebuilder:default={}
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
