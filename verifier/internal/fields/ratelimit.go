// Package fields writes the header fields with which every door answers: the challenge, the
// state of the limits, and whose key it is. What is appended is text that may stand in a header as
// it is.
package fields

import (
	"net/http"
	"strconv"
	"time"

	"github.com/claviger-dev/claviger/verifier"
)

// AppendRateLimitPolicy appends RateLimit-Policy of draft-ietf-httpapi-ratelimit-headers; nothing
// where the decision tells of no limits.
func AppendRateLimitPolicy(b []byte, d *verifier.Decision) []byte {
	for i := range d.Limits.Len() {
		l := d.Limits.At(i)
		b = appendItem(b, &d.Limits, i)
		b = strconv.AppendInt(append(b, ";q="...), l.Max, 10)
		switch l.Kind {
		case verifier.LimitConcurrency:
			b = append(b, `;qu="concurrent-requests"`...)
			continue // it has no window
		case verifier.LimitBudget:
			b = append(b, `;qu="microcents"`...)
		}
		b = strconv.AppendInt(append(b, ";w="...), seconds(l.Per), 10)
	}
	return b
}

// AppendRateLimit appends RateLimit of the same draft.
func AppendRateLimit(b []byte, d *verifier.Decision) []byte {
	for i := range d.Limits.Len() {
		l := d.Limits.At(i)
		b = appendItem(b, &d.Limits, i)
		b = strconv.AppendInt(append(b, ";r="...), l.Remaining, 10)
		b = strconv.AppendInt(append(b, ";t="...), seconds(l.ResetAt.Sub(d.At)), 10)
	}
	return b
}

// AppendRetryAfter appends Retry-After, in seconds, where a decision asks for patience; nothing
// where it does not. It is never zero, which would ask to be tried again at once.
func AppendRetryAfter(b []byte, d *verifier.Decision) []byte {
	if d.RetryAfter == 0 && d.Status != http.StatusTooManyRequests {
		return b
	}
	return strconv.AppendInt(b, max(1, seconds(d.RetryAfter)), 10)
}

// seconds rounds up, so that who waits that long has waited long enough.
func seconds(d time.Duration) int64 { return max(0, int64((d+time.Second-1)/time.Second)) }

// appendItem begins the item of a limit in a list.
func appendItem(b []byte, limits *verifier.Limits, i int) []byte {
	if i > 0 {
		b = append(b, ", "...)
	}
	b = append(b, '"')
	b = appendName(b, limits, i, appendQuoted)
	return append(b, '"')
}

// AppendLimitName names a limit: after its span or period; where another has the same, after its KeyLimit
// too; and where even then two are alike, with a number.
func AppendLimitName(b []byte, limits *verifier.Limits, i int) []byte {
	return appendName(b, limits, i, func(b []byte, name string) []byte { return append(b, name...) })
}

func appendName(b []byte, limits *verifier.Limits, i int, appendText func([]byte, string) []byte) []byte {
	var (
		one    = limits.At(i)
		spans  int // limits of this rule
		before int // limits before this one of its name and rule
	)
	for j := range limits.Len() {
		other := limits.At(j)
		if !AlikeRules(other, one) {
			continue
		}
		spans++
		if j < i && other.Name == one.Name {
			before++
		}
	}
	if spans > 1 {
		b = append(appendText(b, one.Name), '-')
	}
	b = AppendRule(b, one)
	if before > 0 {
		b = strconv.AppendInt(append(b, '-'), int64(before)+1, 10)
	}
	return b
}

// AlikeRules says whether AppendRule calls two limits the same.
func AlikeRules(a, b *verifier.Limit) bool {
	return className(a.Kind) == className(b.Kind) && a.Reset == b.Reset &&
		(a.Per == b.Per || a.Kind >= verifier.LimitQuota)
}

// className is empty for limits that are called after their span or period alone.
func className(kind verifier.LimitKind) string {
	switch kind {
	case verifier.LimitQuota:
		return "quota"
	case verifier.LimitBudget:
		return "budget"
	case verifier.LimitConcurrency:
		return "concurrency"
	}
	return ""
}

// AppendRule appends what people call a rule: minute, monthly-quota, daily-budget or concurrency.
func AppendRule(b []byte, l *verifier.Limit) []byte {
	switch class := className(l.Kind); {
	case class == "":
		return AppendSpan(b, l.Per)
	case l.Kind == verifier.LimitConcurrency:
		return append(b, class...)
	default:
		return append(append(b, [...]string{"monthly-", "weekly-", "daily-"}[l.Reset]...), class...)
	}
}

// AppendSpan appends what people call a span: minute, or 30s.
func AppendSpan(b []byte, per time.Duration) []byte {
	const day = 24 * time.Hour
	switch per {
	case time.Second:
		return append(b, "second"...)
	case time.Minute:
		return append(b, "minute"...)
	case time.Hour:
		return append(b, "hour"...)
	case day:
		return append(b, "day"...)
	case 7 * day:
		return append(b, "week"...)
	}
	switch {
	case per%time.Hour == 0:
		return append(strconv.AppendInt(b, int64(per/time.Hour), 10), 'h')
	case per%time.Minute == 0:
		return append(strconv.AppendInt(b, int64(per/time.Minute), 10), 'm')
	default:
		return append(b, per.String()...)
	}
}

// appendQuoted appends the inside of a String of RFC 8941.
func appendQuoted(b []byte, s string) []byte {
	for _, c := range []byte(Value(s)) {
		if c == '\\' || c == '"' {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return b
}
