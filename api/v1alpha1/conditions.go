package v1alpha1

// Condition types. Ready says whether an object is reconciled as it was asked to be;
// Active says whether what it grants works now. A key revoked on purpose is therefore
// Ready and not Active, and GitOps health stays green.
const (
	ConditionReady  = "Ready"
	ConditionActive = "Active"
	// ConditionStalled is present, and true, only while nothing but a person's change
	// can help. kstatus reads it as Failed.
	ConditionStalled = "Stalled"
	// ConditionNearExpiry is present, and true, on a key that ends soon.
	ConditionNearExpiry = "NearExpiry"
	// ConditionUnused is present, and true, on a key that was not used for as long as its Workspace says.
	ConditionUnused = "Unused"
	// ConditionPreviousKeyInUse is present, and true, while the end of an overlap is near and somebody
	// still uses the replaced key.
	ConditionPreviousKeyInUse = "PreviousKeyInUse"
	// ConditionLegacyKeys is present, and true, on a Workspace with keys that are not of Claviger's
	// format.
	ConditionLegacyKeys = "LegacyKeys"
)

// Reasons of the Ready condition.
const (
	ReasonReconciled = "Reconciled"
	// Waiting for an object that is named but does not exist (yet).
	ReasonWorkspaceNotFound      = "WorkspaceNotFound"
	ReasonServiceAccountNotFound = "ServiceAccountNotFound"
	ReasonKeyLimitNotFound       = "KeyLimitNotFound"
	// The spec breaks a rule that the webhook would have refused.
	ReasonInvalidSpec = "InvalidSpec"
	// The Secret to deliver to exists and is not this ApiKey's own.
	ReasonSecretConflict = "SecretConflict"
	// Somebody deleted the delivered Secret and delivery.onLoss is Fail.
	ReasonSecretLost = "SecretLost"
	// The delivered Secret no longer holds the key that was delivered.
	ReasonSecretAltered = "SecretAltered"
	// The Workspace or the ServiceAccount allows no further key.
	ReasonTooManyKeys = "TooManyKeys"
	// The API server, or something it asks, does not let a Secret be written: a quota, a
	// policy, a missing permission.
	ReasonWriteRefused = "WriteRefused"
	// The Secret that the key is to be brought along from is missing, or holds none.
	ReasonSourceNotFound = "SourceNotFound"
	// The key that is to be brought along could be guessed.
	ReasonWeakKey = "WeakKey"
	// Another ApiKey has the same key, and had it before.
	ReasonDuplicateKey = "DuplicateKey"
	// The ApiKey of an account's token exists and is not the account's own.
	ReasonTokenConflict = "TokenConflict"
)

// Reasons of the Active condition. They are also the values of an ApiKey's status.state,
// where Active stands for a key that works.
const (
	ReasonActive                  = "Active"
	ReasonPending                 = "Pending"
	ReasonDisabled                = "Disabled"
	ReasonRevoked                 = "Revoked"
	ReasonExpired                 = "Expired"
	ReasonWorkspaceSuspended      = "WorkspaceSuspended"
	ReasonServiceAccountSuspended = "ServiceAccountSuspended"
	ReasonSuspended               = "Suspended"
)
