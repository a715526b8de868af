package fields

import (
	"net/http"

	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/verifier"
)

// AppendChallenge appends WWW-Authenticate as of RFC 6750 section 3; nothing where the RFC has
// none for a decision. A request without any key is told the scheme and no error code. The scopes
// are those that were required; they must be well formed.
func AppendChallenge(b []byte, code policy.Code, required *verifier.Scopes) []byte {
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
	if code == policy.CodeScopeInsufficient && len(required.AllOf)+len(required.AnyOf) > 0 {
		b = append(b, `, scope="`...)
		b = AppendWords(b, required.AllOf, required.AnyOf)
		b = append(b, '"')
	}
	return b
}

// AppendWords appends lists of words, with spaces between them.
func AppendWords(b []byte, lists ...[]string) []byte {
	separator := ""
	for _, list := range lists {
		for _, word := range list {
			b = append(append(b, separator...), word...)
			separator = " "
		}
	}
	return b
}
