package fields

import (
	"net/http"

	"github.com/claviger-dev/claviger/internal/policy"
)

// AppendChallenge appends WWW-Authenticate as of RFC 6750 section 3; nothing where the RFC has
// none for a decision. A request without any key is told the scheme and no error code. The scopes
// are those that were required; they must be well formed.
func AppendChallenge(b []byte, code policy.Code, scopes []string) []byte {
	err := code.Challenge()
	if err == "" && code.Status() != http.StatusUnauthorized {
		return b
	}
	b = append(b, `Bearer realm="claviger"`...)
	if err != "" {
		b = append(append(b, `, error="`...), err...)
		b = append(append(b, `", error_description="`...), code.Message()...)
		b = append(b, '"')
	}
	if code == policy.CodeScopeInsufficient && len(scopes) > 0 {
		separator := `, scope="`
		for _, scope := range scopes {
			b = append(append(b, separator...), scope...)
			separator = " "
		}
		b = append(b, '"')
	}
	return b
}
