package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ApiKeyStatus is what Claviger has made of a key. All of it but usage and
// revocation can be rebuilt from the Secrets.
type ApiKeyStatus struct {
	// ObservedGeneration is the generation of the spec this status speaks of; 0 before Claviger has looked at it.
	// +kubebuilder:default=0
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

	// KeyGeneration counts the keys that this ApiKey has had, from 1; this one is the current key's.
	// +optional
	KeyGeneration int32 `json:"keyGeneration,omitempty"`

	// Legacy says that the key was brought along and is not of Claviger's format.
	// +optional
	Legacy bool `json:"legacy,omitempty"`

	// Sealed is the key, encrypted to the delivery's recipients.
	// +optional
	Sealed *SealedKey `json:"sealed,omitempty"`

	// Rotation tells of the next key and of the one before.
	// +optional
	Rotation *RotationStatus `json:"rotation,omitempty"`

	// Revocation tells since when a revoked key is refused everywhere.
	// +optional
	Revocation *Revocation `json:"revocation,omitempty"`

	// SecretName is the Secret that holds the key.
	// +optional
	SecretName string `json:"secretName,omitempty"`

	// Usage is what the verifiers have counted. It follows within about a minute and is for
	// reading only: limits are not enforced from it.
	// +optional
	Usage *KeyUsage `json:"usage,omitempty"`

	// Conditions: Ready, Active and, while a person must act, Stalled; NearExpiry, Unused and
	// PreviousKeyInUse while they hold.
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(c, c.lastTransitionTime >= timestamp('1970-01-01T00:00:00Z') && c.lastTransitionTime < timestamp('9999-01-01T00:00:00Z'))",message="must have a time from 1970 to 9998, for example 2027-01-31T12:00:00Z"
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// KeyUsage is what the verifiers counted for a key.
type KeyUsage struct {
	// Period is the workspace's current billing period: a calendar month in UTC, unless its spec.billing says
	// otherwise.
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

	// PreviousLastUsedAt is when the key before the current one was last presented.
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9999-01-01T00:00:00Z')",message="must be a time from 1970 to 9998, for example 2027-01-31T12:00:00Z"
	// +optional
	PreviousLastUsedAt *metav1.Time `json:"previousLastUsedAt,omitempty"`

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

// SealedKey is a key that only its recipients can read.
type SealedKey struct {
	// Ciphertext is the key encrypted by age, in its armored form: store it in a file and read it with
	// age --decrypt --identity FILE.
	// +kubebuilder:validation:MaxLength=65536
	Ciphertext string `json:"ciphertext"`

	// Recipients are those it was sealed to.
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Recipients []Recipient `json:"recipients,omitempty"`
}

// RotationStatus tells of the next key and of the one before.
type RotationStatus struct {
	// NextAt is when the key is replaced by rotation.every.
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9999-01-01T00:00:00Z')",message="must be a time from 1970 to 9998, for example 2027-01-31T12:00:00Z"
	// +optional
	NextAt *metav1.Time `json:"nextAt,omitempty"`

	// Previous is the key before, while it still works.
	// +optional
	Previous *PreviousKey `json:"previous,omitempty"`
}

// PreviousKey is a key that was replaced and still works.
type PreviousKey struct {
	// Hint is enough of it to recognise it.
	// +optional
	Hint string `json:"hint,omitempty"`

	// EndsAt is when it stops working, unless it is ended before because nobody uses it.
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9999-01-01T00:00:00Z')",message="must be a time from 1970 to 9998, for example 2027-01-31T12:00:00Z"
	// +optional
	EndsAt *metav1.Time `json:"endsAt,omitempty"`
}

// Revocation is how a revocation spread.
type Revocation struct {
	// RequestedAt is when the operator saw that the key was revoked.
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9999-01-01T00:00:00Z')",message="must be a time from 1970 to 9998, for example 2027-01-31T12:00:00Z"
	// +optional
	RequestedAt *metav1.Time `json:"requestedAt,omitempty"`

	// PropagatedAt is when every verifier that was there had heard of it. Unset: not all have yet.
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9999-01-01T00:00:00Z')",message="must be a time from 1970 to 9998, for example 2027-01-31T12:00:00Z"
	// +optional
	PropagatedAt *metav1.Time `json:"propagatedAt,omitempty"`

	// Verifiers is how many there were.
	// +optional
	Verifiers int32 `json:"verifiers,omitempty"`

	// Reason is what the annotation keys.claviger.dev/revocation-reason said.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Reason string `json:"reason,omitempty"`
}
