package v1alpha1

// SecretTypeHash is the type of the Secrets in the operator's namespace that hold the
// hash of a key, never a key.
const SecretTypeHash = "keys.claviger.dev/hash"

const (
	// LabelSecret tells what a Secret is to Claviger: SecretDelivered or SecretHashed.
	// Caches select by it, so that no other Secret is ever read.
	LabelSecret     = "keys.claviger.dev/secret"
	SecretDelivered = "delivered"
	SecretHashed    = "hashed"

	// LabelApiKeyUID is the UID of the ApiKey a Secret belongs to.
	LabelApiKeyUID = "keys.claviger.dev/api-key-uid"

	// AnnotationApiKey is "namespace/name" of the ApiKey a hashed Secret belongs to.
	AnnotationApiKey = "keys.claviger.dev/api-key"

	// AnnotationGeneration counts the keys an ApiKey has had, from "1". A delivered and
	// a hashed Secret with the same number hold the same key.
	AnnotationGeneration = "keys.claviger.dev/generation"
)

// The data keys of a delivered Secret.
const (
	DataKeyApiKey = "api-key"
	DataKeyKeyID  = "key-id"
)
