package v1alpha1

// SecretTypeHash is the type of the Secrets in the operator's namespace that hold the
// hash of a key, never a key.
const SecretTypeHash = "keys.claviger.dev/hash"

const (
	// LabelSecret tells what a Secret is to Claviger: SecretDelivered, SecretHashed or SecretStaged.
	// Caches select by it, so that no other Secret is ever read.
	LabelSecret     = "keys.claviger.dev/secret"
	SecretDelivered = "delivered"
	SecretHashed    = "hashed"
	// SecretStaged is a Secret with the next key, beside the delivered one until that takes its content.
	SecretStaged = "staged"

	// StagedPrefix begins the names of staged Secrets; the rest is the ApiKey's UID.
	StagedPrefix = "claviger-staged-"

	// LabelApiKeyUID is the UID of the ApiKey a Secret belongs to.
	LabelApiKeyUID = "keys.claviger.dev/api-key-uid"

	// AnnotationApiKey is "namespace/name" of the ApiKey a hashed Secret belongs to.
	AnnotationApiKey = "keys.claviger.dev/api-key"

	// AnnotationGeneration counts the keys an ApiKey has had, from "1". A delivered and
	// a hashed Secret with the same number hold the same key.
	AnnotationGeneration = "keys.claviger.dev/generation"
)

// The annotations of ApiKeys that people and admission write.
const (
	// AnnotationRevocationReason says why a key is revoked.
	AnnotationRevocationReason = "keys.claviger.dev/revocation-reason"
	// AnnotationCreatedBy is the Kubernetes user who created the ApiKey. Admission writes it,
	// whatever was sent, and lets nobody change it.
	AnnotationCreatedBy = "keys.claviger.dev/created-by"
)

// LeakedReason begins the reason of a key that was revoked because it was found where it should not be.
const LeakedReason = "Leaked"

// EntityUser is the kind of the entity that a personal token belongs to: a Kubernetes user.
const EntityUser = "User"

// PersonalPrefix begins personal tokens that choose no other.
const PersonalPrefix = "pat"

// The data keys of a delivered Secret.
const (
	DataKeyApiKey   = "api-key"
	DataKeyKeyID    = "key-id"
	DataKeyPrevious = "previous-api-key"
)
