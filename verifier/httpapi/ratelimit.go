package httpapi

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/verifier"
)

// limitFields are the fields of draft-ietf-httpapi-ratelimit-headers, and Retry-After where
// a limit refused.
func limitFields(header http.Header, d *verifier.Decision) {
	if d.Limits.Len() == 0 {
		return
	}
	names := distinct(d.Limits.Len(),
		func(i int) string { return spanName(d.Limits.At(i).Per) },
		func(i int) string { return d.Limits.At(i).Name + "-" + spanName(d.Limits.At(i).Per) },
	)
	policies, states := make([]string, len(names)), make([]string, len(names))
	for i, name := range names {
		l, quoted := d.Limits.At(i), quoteString(name)
		policies[i] = fmt.Sprintf("%s;q=%d;w=%d", quoted, l.Requests, seconds(l.Per))
		states[i] = fmt.Sprintf("%s;r=%d;t=%d", quoted, l.Remaining, seconds(l.ResetAt.Sub(d.At)))
	}
	header.Set("Ratelimit-Policy", strings.Join(policies, ", "))
	header.Set("Ratelimit", strings.Join(states, ", "))
	if d.Code == policy.CodeRateLimited {
		// A zero would ask to be tried again at once.
		header.Set("Retry-After", strconv.FormatInt(max(1, seconds(d.RetryAfter)), 10))
	}
}

// seconds rounds up, so that who waits that long has waited long enough.
func seconds(d time.Duration) int64 { return max(0, int64((d+time.Second-1)/time.Second)) }

// spanName is what people call a span: minute, or 30s.
func spanName(per time.Duration) string {
	const day = 24 * time.Hour
	switch per {
	case time.Second:
		return "second"
	case time.Minute:
		return "minute"
	case time.Hour:
		return "hour"
	case day:
		return "day"
	case 7 * day:
		return "week"
	}
	switch {
	case per%time.Hour == 0:
		return strconv.FormatInt(int64(per/time.Hour), 10) + "h"
	case per%time.Minute == 0:
		return strconv.FormatInt(int64(per/time.Minute), 10) + "m"
	default:
		return per.String()
	}
}

// distinct names n things, each in the first of the forms in which no other has its name, or
// else with a number.
func distinct(n int, forms ...func(int) string) []string {
	names := make([]string, n)
	for _, form := range forms {
		count := map[string]int{}
		for i := range names {
			count[form(i)]++
		}
		for i := range names {
			if names[i] == "" && count[form(i)] == 1 {
				names[i] = form(i)
			}
		}
	}
	used := map[string]bool{}
	for i, name := range names {
		last := forms[len(forms)-1](i)
		if name == "" {
			name = last
		}
		for number := 2; used[name]; number++ {
			name = last + "-" + strconv.Itoa(number)
		}
		names[i], used[name] = name, true
	}
	return names
}

// quoteString writes a String of RFC 8941.
func quoteString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(fieldValue(s)) + `"`
}
