package policy

import "errors"

// Code is a decision: what a caller of the verifier acts on. The zero Code is none, so that
// one nobody set does not pass for leave.
type Code uint8

// The decisions. Their names are part of the API and never change their meaning.
const (
	_ Code = iota
	CodeValid
	CodeKeyRequired
	CodeKeyInvalid
	CodeKeyExpired
	CodeKeyRevoked
	CodeKeyDisabled
	CodeWorkspaceSuspended
	CodeWorkspaceMismatch
	CodeAccountSuspended
	CodeScopeInsufficient
	CodeResourceDenied
	CodeAddressDenied
	CodeRateLimited
	CodeQuotaExhausted
	CodeBudgetExhausted
	CodeConcurrencyExceeded
	CodeLimitsUnavailable
	CodeRequestInvalid
	codes // how many there are, with none
)

// The error codes of RFC 6750 section 3.1, for a WWW-Authenticate challenge.
const (
	invalidRequest    = "invalid_request"
	invalidToken      = "invalid_token"
	insufficientScope = "insufficient_scope"
)

type answer struct {
	name      string
	status    int
	challenge string
	message   string
}

// vocabulary is all that clients are ever told, in one place. One text per cause, and the
// same one at every door.
var vocabulary = [codes]answer{
	CodeValid:               {"VALID", 200, "", ""},
	CodeKeyRequired:         {"KEY_REQUIRED", 401, "", "API key is required"},
	CodeKeyInvalid:          {"KEY_INVALID", 401, invalidToken, "Invalid API key"},
	CodeKeyExpired:          {"KEY_EXPIRED", 401, invalidToken, "API key has expired"},
	CodeKeyRevoked:          {"KEY_REVOKED", 401, invalidToken, "API key has been revoked"},
	CodeKeyDisabled:         {"KEY_DISABLED", 403, "", "API key is disabled"},
	CodeWorkspaceSuspended:  {"WORKSPACE_SUSPENDED", 403, "", "Workspace is suspended"},
	CodeWorkspaceMismatch:   {"WORKSPACE_MISMATCH", 401, invalidToken, "Invalid API key"},
	CodeAccountSuspended:    {"ACCOUNT_SUSPENDED", 403, "", "Service account is suspended"},
	CodeScopeInsufficient:   {"SCOPE_INSUFFICIENT", 403, insufficientScope, "API key does not have the required scope"},
	CodeResourceDenied:      {"RESOURCE_DENIED", 403, "", "API key may not be used for this resource"},
	CodeAddressDenied:       {"ADDRESS_DENIED", 403, "", "API key may not be used from this address"},
	CodeRateLimited:         {"RATE_LIMITED", 429, "", "Rate limit exceeded. Please try again later."},
	CodeQuotaExhausted:      {"QUOTA_EXHAUSTED", 429, "", "Request quota is used up. Please try again when it resets."},
	CodeBudgetExhausted:     {"BUDGET_EXHAUSTED", 429, "", "Budget is used up. Please try again when it resets."},
	CodeConcurrencyExceeded: {"CONCURRENCY_EXCEEDED", 429, "", "Too many requests at once. Please try again later."},
	CodeLimitsUnavailable:   {"LIMITS_UNAVAILABLE", 503, "", "Limits cannot be checked right now. Please try again later."},
	CodeRequestInvalid:      {"REQUEST_INVALID", 400, invalidRequest, "Bad request"},
}

// Codes lists every code there is.
func Codes() []Code {
	var list []Code
	for code := CodeValid; code < codes; code++ {
		list = append(list, code)
	}
	return list
}

// answer of a code that is in no vocabulary is our mistake, and must not pass for leave.
func (c Code) answer() *answer {
	if c == 0 || c >= codes {
		return &answer{name: "INTERNAL", status: 500, message: "Internal error"}
	}
	return &vocabulary[c]
}

// String is the name of the code, such as VALID.
func (c Code) String() string { return c.answer().name }

// MarshalText writes the name.
func (c Code) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a name. One that is not known is an error, and no code.
func (c *Code) UnmarshalText(name []byte) error {
	for code := CodeValid; code < codes; code++ {
		if vocabulary[code].name == string(name) {
			*c = code
			return nil
		}
	}
	return errors.New("there is no such code")
}

// Status is the HTTP status to give the client.
func (c Code) Status() int { return c.answer().status }

// Message is the text to give the client; empty for VALID.
func (c Code) Message() string { return c.answer().message }

// Challenge is the error code of RFC 6750 section 3.1 that belongs into WWW-Authenticate,
// or empty where the RFC has none.
func (c Code) Challenge() string { return c.answer().challenge }

// OfLimits says whether it was a limit that refused, or that could not be asked.
func (c Code) OfLimits() bool { return c >= CodeRateLimited && c <= CodeLimitsUnavailable }

// Public is the code that the bearer of a key may see. Keys of other tenants look like
// unknown ones, or their existence could be probed.
func (c Code) Public() Code {
	if c == CodeWorkspaceMismatch {
		return CodeKeyInvalid
	}
	return c
}
