package httpapi

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/httpapi/internal/strictjson"
)

// reportResult is what became of a report.
type reportResult struct {
	verifier.Reported
	status int         // as if it had been sent alone
	code   policy.Code // why it was not counted; 0: it was
	text   string
}

// refused says what was wrong. A key that there is not is no key that was refused: whoever reports was not
// asked for one, so it is 404 and not 401.
func refused(err error) reportResult {
	code := policy.CodeRequestInvalid
	switch {
	case errors.Is(err, verifier.ErrUnknownKey):
		return reportResult{status: http.StatusNotFound, code: policy.CodeKeyInvalid,
			text: "There is no such key. Report with the key, or the key ID, of the decision."}
	case errors.Is(err, verifier.ErrTooManyUnknownKeys):
		code = policy.CodeRateLimited
	case errors.Is(err, verifier.ErrLimitsUnavailable):
		code = policy.CodeLimitsUnavailable
	default:
		return reportResult{status: code.Status(), code: code, text: code.Message() + ": " + err.Error()}
	}
	return reportResult{status: code.Status(), code: code, text: code.Message()}
}

func (result *reportResult) append(b []byte, id string) []byte {
	b = append(b, '{')
	if id != "" { // it could be read
		b = append(strictjson.AppendString(append(b, `"requestId":`...), id), ',')
	}
	b = strconv.AppendInt(append(b, `"status":`...), int64(result.status), 10)
	if result.code != 0 {
		b = strictjson.AppendString(append(b, `,"error":`...), result.text)
		b = strictjson.AppendString(append(b, `,"code":`...), result.code.String())
		return append(b, '}')
	}
	b = strconv.AppendBool(append(b, `,"again":`...), result.Again)
	return append(appendLimits(b, &result.Limits), '}')
}
