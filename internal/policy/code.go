package policy

// Code is the name of a decision: what a caller of the verifier acts on.
type Code string

// The decisions. They are part of the API and never change their meaning.
const (
	CodeValid              Code = "VALID"
	CodeKeyRequired        Code = "KEY_REQUIRED"
	CodeKeyInvalid         Code = "KEY_INVALID"
	CodeKeyExpired         Code = "KEY_EXPIRED"
	CodeKeyRevoked         Code = "KEY_REVOKED"
	CodeKeyDisabled        Code = "KEY_DISABLED"
	CodeWorkspaceSuspended Code = "WORKSPACE_SUSPENDED"
	CodeWorkspaceMismatch  Code = "WORKSPACE_MISMATCH"
	CodeAccountSuspended   Code = "ACCOUNT_SUSPENDED"
	CodeScopeInsufficient  Code = "SCOPE_INSUFFICIENT"
	CodeAddressDenied      Code = "ADDRESS_DENIED"
	CodeRateLimited        Code = "RATE_LIMITED"
	CodeRequestInvalid     Code = "REQUEST_INVALID"
)

// The error codes of RFC 6750 section 3.1, for a WWW-Authenticate challenge.
const (
	invalidRequest    = "invalid_request"
	invalidToken      = "invalid_token"
	insufficientScope = "insufficient_scope"
)

type answer struct {
	status    int
	challenge string
	message   string
}

// vocabulary is all that clients are ever told, in one place. One text per cause, and the
// same one at every door.
var vocabulary = map[Code]answer{
	CodeValid:              {200, "", ""},
	CodeKeyRequired:        {401, "", "API key is required"},
	CodeKeyInvalid:         {401, invalidToken, "Invalid API key"},
	CodeKeyExpired:         {401, invalidToken, "API key has expired"},
	CodeKeyRevoked:         {401, invalidToken, "API key has been revoked"},
	CodeKeyDisabled:        {403, "", "API key is disabled"},
	CodeWorkspaceSuspended: {403, "", "Workspace is suspended"},
	CodeWorkspaceMismatch:  {401, invalidToken, "Invalid API key"},
	CodeAccountSuspended:   {403, "", "Service account is suspended"},
	CodeScopeInsufficient:  {403, insufficientScope, "API key does not have the required scope"},
	CodeAddressDenied:      {403, "", "API key may not be used from this address"},
	CodeRateLimited:        {429, "", "Rate limit exceeded. Please try again later."},
	CodeRequestInvalid:     {400, invalidRequest, "Bad request"},
}

// Codes lists every code there is, in no particular order.
func Codes() []Code {
	codes := make([]Code, 0, len(vocabulary))
	for code := range vocabulary {
		codes = append(codes, code)
	}
	return codes
}

// Status is the HTTP status to give the client.
func (c Code) Status() int { return vocabulary[c].status }

// Message is the text to give the client; empty for VALID.
func (c Code) Message() string { return vocabulary[c].message }

// Challenge is the error code of RFC 6750 section 3.1 that belongs into WWW-Authenticate,
// or empty where the RFC has none.
func (c Code) Challenge() string { return vocabulary[c].challenge }

// Public is the code that the bearer of a key may see. Keys of other tenants look like
// unknown ones, or their existence could be probed.
func (c Code) Public() Code {
	if c == CodeWorkspaceMismatch {
		return CodeKeyInvalid
	}
	return c
}
