package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Billing is which periods usage is counted in.
// +kubebuilder:validation:XValidation:rule="!has(self.anchorDay) || self.resetPeriod == 'Monthly' || self.resetPeriod == 'Weekly' && self.anchorDay <= 7",message="anchorDay is a day of the month (1 to 31) with Monthly, a day of the week (1 is Monday, 7 is Sunday) with Weekly, and must be left out with Daily"
type Billing struct {
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

// UsagePolicy is what is kept of a workspace's requests.
type UsagePolicy struct {
	// RequestLog keeps a line for each request. Unset, none is kept: each takes up space on the disk
	// where usage is stored.
	// +optional
	RequestLog *RequestLog `json:"requestLog,omitempty"`
}

// RequestLog is which requests are logged and for how long.
type RequestLog struct {
	// Retention is how long a line is kept, for example 720h: at least 1h, at most 9528h (397 days). Lines that
	// are there already go when a shorter one says so.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('1h') && duration(self) <= duration('9528h')",message="must be from 1h to 9528h, in hours, minutes and seconds: 720h is 30 days"
	Retention metav1.Duration `json:"retention"`

	// SamplePercent is how many of a hundred requests are logged, by their request ID: of one that is, both
	// how it was decided and how it ended. By default all. The sums always count every request.
	// +kubebuilder:default=100
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +optional
	SamplePercent *int32 `json:"samplePercent,omitempty"`
}

// GroupUsage is what the verifiers counted for all keys of a Workspace or of a ServiceAccount.
type GroupUsage struct {
	// Period is the workspace's current billing period.
	// +optional
	Period UsagePeriod `json:"period,omitempty"`

	// Total is all that was ever counted.
	// +optional
	Total UsageCounts `json:"total,omitempty"`

	// LastUsedAt is when one of the keys was last presented, whatever the answer.
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9999-01-01T00:00:00Z')",message="must be a time from 1970 to 9998, for example 2027-01-31T12:00:00Z"
	// +optional
	LastUsedAt *metav1.Time `json:"lastUsedAt,omitempty"`
}

// UsagePeriod is usage from a start on.
type UsagePeriod struct {
	// Start of the period.
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9999-01-01T00:00:00Z')",message="must be a time from 1970 to 9998, for example 2027-01-31T12:00:00Z"
	// +optional
	Start *metav1.Time `json:"start,omitempty"`

	UsageCounts `json:",inline"`
}

// UsageCounts counts requests by how they were decided, each under one of requests and denied, and by how they
// ended, as far as that was reported afterwards.
type UsageCounts struct {
	// Requests that were allowed.
	// +optional
	Requests int64 `json:"requests"`

	// Denied requests.
	// +optional
	Denied int64 `json:"denied"`

	// Succeeded are the allowed requests that were reported to have succeeded.
	// +optional
	Succeeded int64 `json:"succeeded"`

	// Failed are the allowed requests that were reported to have failed.
	// +optional
	Failed int64 `json:"failed"`

	// SpendMicrocents is what the requests cost, as it was stated or reported, in microcents: 100000000 of
	// them are one dollar.
	// +optional
	SpendMicrocents int64 `json:"spendMicrocents"`
}
