package httpapi

import (
	"slices"
	"strconv"
	"time"

	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/httpapi/internal/strictjson"
	"github.com/claviger-dev/claviger/verifier/internal/fields"
)

// appendVerdict appends the answer of /v1/verify to the question of an ID. Fields that have nothing to say are left out.
func (x *exchange) appendVerdict(b []byte, id string) []byte {
	d := &x.decision
	b = strconv.AppendBool(append(b, `{"valid":`...), d.Valid())
	b = strictjson.AppendString(append(b, `,"code":`...), d.Code.String())
	b = strconv.AppendInt(append(b, `,"status":`...), int64(d.Status), 10)
	b = appendMember(b, `,"error":`, d.Error)
	b = strictjson.AppendString(append(b, `,"requestId":`...), id)
	if !d.Key.ID.IsZero() {
		b = x.appendKey(append(b, `,"key":`...), &d.Key)
	}
	b = appendLimits(b, &d.Limits)
	b = appendChecks(b, d.Checks)
	return append(b, '}')
}

// appendMember appends a member of an object, if there is anything to it.
func appendMember(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return strictjson.AppendString(append(b, name...), value)
}

func (x *exchange) appendKey(b []byte, key *verifier.Key) []byte {
	b = append(key.ID.Append(append(b, `{"id":"`...)), '"')
	b = strictjson.AppendString(append(b, `,"name":`...), key.Name)
	b = strictjson.AppendString(append(b, `,"namespace":`...), key.Namespace)
	b = strictjson.AppendString(append(b, `,"workspace":`...), key.Workspace)
	b = strictjson.AppendString(append(b, `,"environment":`...), key.Environment)
	b = appendMember(b, `,"displayName":`, key.DisplayName)
	b = append(b, `,"scopes":[`...)
	for i, scope := range key.Scopes {
		if i > 0 {
			b = append(b, ',')
		}
		b = strictjson.AppendString(b, scope)
	}
	b = append(b, ']')
	if key.Entity != (verifier.Entity{}) {
		b = appendEntity(append(b, `,"entity":`...), &key.Entity)
	}
	b = appendMember(b, `,"serviceAccount":`, key.ServiceAccount)
	if len(key.Metadata) > 0 {
		b = x.appendMetadata(append(b, `,"metadata":`...), key.Metadata)
	}
	if !key.ExpiresAt.IsZero() {
		b = appendTime(append(b, `,"expiresAt":`...), key.ExpiresAt)
	}
	return append(b, '}')
}

func appendEntity(b []byte, entity *verifier.Entity) []byte {
	b = strictjson.AppendString(append(b, `{"kind":`...), entity.Kind)
	b = strictjson.AppendString(append(b, `,"id":`...), entity.ID)
	b = appendMember(b, `,"department":`, entity.Department)
	return append(b, '}')
}

// appendMetadata appends a key's metadata in order, so that an answer can be compared.
func (x *exchange) appendMetadata(b []byte, metadata map[string]string) []byte {
	names := x.sorted[:0]
	for name := range metadata {
		names = append(names, name)
	}
	slices.Sort(names)
	b = append(b, '{')
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = strictjson.AppendString(b, name)
		b = strictjson.AppendString(append(b, ':'), metadata[name])
	}
	x.sorted = names
	return append(b, '}')
}

func appendLimits(b []byte, limits *verifier.Limits) []byte {
	if limits.Len() == 0 {
		return b
	}
	var buffer [128]byte // longer than a name of Kubernetes and a span
	b = append(b, `,"limits":[`...)
	for i := range limits.Len() {
		l := limits.At(i)
		if i > 0 {
			b = append(b, ',')
		}
		b = strictjson.AppendString(append(b, `{"name":`...), appendLimitName(buffer[:0], limits, i))
		b = append(append(b, `,"unit":"`...), units[l.Kind]...)
		b = strconv.AppendInt(append(b, `","limit":`...), l.Capacity, 10)
		b = strconv.AppendInt(append(b, `,"remaining":`...), l.Remaining, 10)
		b = appendTime(append(b, `,"resetAt":`...), l.ResetAt.Truncate(time.Millisecond))
		b = append(b, '}')
	}
	return append(b, ']')
}

// units are what limits count.
var units = [...]string{
	verifier.LimitSpan: "requests", verifier.LimitTokens: "requests", verifier.LimitQuota: "requests",
	verifier.LimitBudget: "microcents", verifier.LimitConcurrency: "concurrent-requests",
}

// appendLimitName names a limit by its KeyLimit; where that has several rules, by the span or period too; and
// where even then two are alike, with a number.
func appendLimitName(b []byte, limits *verifier.Limits, i int) []byte {
	var (
		one           = limits.At(i)
		rules, before int // of its KeyLimit; of the same name, before this one
		taken         bool
	)
	for j := range limits.Len() {
		other := limits.At(j)
		if other.Name != one.Name {
			taken = taken || namesRule(one.Name, other)
			continue
		}
		rules++
		if j < i && fields.AlikeRules(other, one) {
			before++
		}
	}
	b = append(b, one.Name...)
	if rules > 1 || taken {
		b = fields.AppendRule(append(b, '-'), one)
	}
	if before > 0 {
		b = strconv.AppendInt(append(b, '-'), int64(before)+1, 10)
	}
	return b
}

// namesRule says whether a KeyLimit is called what a rule of another may be called: standard-minute, where there is a
// KeyLimit standard with a minute.
func namesRule(name string, other *verifier.Limit) bool {
	if len(name) <= len(other.Name) || name[:len(other.Name)] != other.Name {
		return false
	}
	var buffer [64]byte
	rule := fields.AppendRule(append(buffer[:0], '-'), other)
	rest := name[len(other.Name):]
	return len(rest) >= len(rule) && rest[:len(rule)] == string(rule) && (len(rest) == len(rule) || rest[len(rule)] == '-')
}

func appendChecks(b []byte, checks []verifier.Check) []byte {
	if len(checks) == 0 {
		return b
	}
	b = append(b, `,"checks":[`...)
	for i := range checks {
		check := &checks[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = strictjson.AppendString(append(b, `{"name":`...), check.Name)
		b = strictjson.AppendString(append(b, `,"outcome":`...), string(check.Outcome))
		if check.Code != 0 {
			b = strictjson.AppendString(append(b, `,"code":`...), check.Code.String())
		}
		if check.Decided {
			b = append(b, `,"decided":true`...)
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

// latest is the last time that RFC 3339 can write.
var latest = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// appendTime appends a time as RFC 3339 writes it, in UTC.
func appendTime(b []byte, t time.Time) []byte {
	if t = t.UTC(); t.After(latest) {
		t = latest
	}
	return append(t.AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
}
