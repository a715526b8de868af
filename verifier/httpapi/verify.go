package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/internal/fields"
)

// verdict is the answer of /v1/verify.
type verdict struct {
	Valid     bool          `json:"valid"`
	Code      verifier.Code `json:"code"`
	Status    int           `json:"status"`
	Error     string        `json:"error,omitempty"`
	RequestID string        `json:"requestId"`
	Key       *identity     `json:"key,omitempty"`
	Limits    []limitState  `json:"limits,omitempty"`
}

type identity struct {
	ID             string            `json:"id"`
	Name           string            `json:"name"`
	Namespace      string            `json:"namespace"`
	Workspace      string            `json:"workspace"`
	Environment    string            `json:"environment"`
	DisplayName    string            `json:"displayName,omitempty"`
	Scopes         []string          `json:"scopes"`
	ServiceAccount string            `json:"serviceAccount,omitempty"`
	Metadata       map[string]string `json:"metadata,omitempty"`
	ExpiresAt      *time.Time        `json:"expiresAt,omitempty"`
}

type limitState struct {
	Name      string    `json:"name"`
	Limit     int64     `json:"limit"`
	Remaining int64     `json:"remaining"`
	ResetAt   time.Time `json:"resetAt"`
}

// verify answers a service that asks about a key it was given. It is always 200 if the
// question made sense: whether the key is good is in the answer.
func (h *handler) verify(r *http.Request) answer {
	request, err := decodeQuestion(r.Body)
	if err != nil {
		return refuseRequest(r, err)
	}
	d := h.verifier.Verify(r.Context(), request)
	if d.Code == policy.CodeRequestInvalid {
		return problem(r, d.Status, d.Code.String(), d.Error)
	}
	return answer{status: http.StatusOK, code: d.Code.String(), body: verdict{
		Valid:     d.Valid(),
		Code:      d.Code,
		Status:    d.Status,
		Error:     d.Error,
		RequestID: requestID(r),
		Key:       identityOf(&d.Key),
		Limits:    limitStates(&d.Limits),
	}}
}

func identityOf(key *verifier.Key) *identity {
	if key.ID.IsZero() {
		return nil
	}
	i := &identity{
		ID:             key.ID.String(),
		Name:           key.Name,
		Namespace:      key.Namespace,
		Workspace:      key.Workspace,
		Environment:    key.Environment,
		DisplayName:    key.DisplayName,
		Scopes:         key.Scopes,
		ServiceAccount: key.ServiceAccount,
		Metadata:       key.Metadata,
	}
	if i.Scopes == nil {
		i.Scopes = []string{} // a list, not null
	}
	if !key.ExpiresAt.IsZero() {
		end := key.ExpiresAt.UTC()
		i.ExpiresAt = &end
	}
	return i
}

// limitStates names limits by their KeyLimit, and those of a KeyLimit with several rates by
// their span as well.
func limitStates(limits *verifier.Limits) []limitState {
	names := distinct(limits.Len(),
		func(i int) string { return limits.At(i).Name },
		func(i int) string { return limits.At(i).Name + "-" + string(fields.AppendSpan(nil, limits.At(i).Per)) },
	)
	states := make([]limitState, limits.Len())
	for i := range states {
		l := limits.At(i)
		states[i] = limitState{Name: names[i], Limit: l.Capacity, Remaining: l.Remaining, ResetAt: l.ResetAt.UTC().Truncate(time.Millisecond)}
	}
	return states
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
