// Package ask asks a verifier about a key: at a URL, or through the API server's proxy to its Service.
package ask

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
)

// Question is what POST /v1/verify is asked. It holds a key, so it is for sending only.
type Question struct {
	Key       string  `json:"key"`
	Scopes    *Scopes `json:"scopes,omitempty"`
	Workspace string  `json:"workspace,omitempty"`
	Resource  string  `json:"resource,omitempty"`
	ClientIP  string  `json:"clientIP,omitempty"`
	Explain   bool    `json:"explain,omitempty"`
}

// Scopes are those that the key must have: all of the ones, and one of the others.
type Scopes struct {
	AllOf []string `json:"allOf,omitempty"`
	AnyOf []string `json:"anyOf,omitempty"`
}

// Decision is what it answers.
type Decision struct {
	Valid     bool    `json:"valid"`
	Code      string  `json:"code"`
	Status    int     `json:"status"`
	Error     string  `json:"error,omitempty"`
	RequestID string  `json:"requestId,omitempty"`
	Key       *Key    `json:"key,omitempty"`
	Limits    []Limit `json:"limits,omitempty"`
	Checks    []Check `json:"checks,omitempty"`
}

// Key is whose key it is.
type Key struct {
	ID             string            `json:"id"`
	Name           string            `json:"name"`
	Namespace      string            `json:"namespace"`
	Workspace      string            `json:"workspace"`
	Environment    string            `json:"environment"`
	DisplayName    string            `json:"displayName,omitempty"`
	Scopes         []string          `json:"scopes"`
	Entity         *Entity           `json:"entity,omitempty"`
	ServiceAccount string            `json:"serviceAccount,omitempty"`
	Metadata       map[string]string `json:"metadata,omitempty"`
	ExpiresAt      string            `json:"expiresAt,omitempty"`
}

// Entity is to whom its usage is attributed.
type Entity struct {
	Kind       string `json:"kind"`
	ID         string `json:"id"`
	Department string `json:"department,omitempty"`
}

// Limit is how one of its limits stands.
type Limit struct {
	Name      string `json:"name"`
	Unit      string `json:"unit"`
	Limit     int64  `json:"limit"`
	Remaining int64  `json:"remaining"`
	ResetAt   string `json:"resetAt"`
}

// Check is one step of the decision: passed, failed or skipped.
type Check struct {
	Name    string `json:"name"`
	Outcome string `json:"outcome"`
	Code    string `json:"code,omitempty"`
	Decided bool   `json:"decided,omitempty"`
}

// Verifier is one that can be asked.
type Verifier interface {
	// Post sends JSON to a door, and returns the answer's status and body. The error says why there is
	// none, and what to do.
	Post(ctx context.Context, door string, body []byte) (status int, answer []byte, err error)
	// Get asks a door for a text.
	Get(ctx context.Context, door string) (status int, answer []byte, err error)
}

// Verify asks about a key. An error says that no decision was made, never that the key is bad.
func Verify(ctx context.Context, v Verifier, question Question) (*Decision, error) {
	if question.ClientIP != "" {
		if _, err := netip.ParseAddr(question.ClientIP); err != nil {
			return nil, fmt.Errorf("%q is no IP address: write one such as 192.0.2.7 or 2001:db8::1", question.ClientIP)
		}
	}
	body, err := json.Marshal(question)
	if err != nil {
		return nil, err
	}
	status, text, err := v.Post(ctx, "v1/verify", body)
	if err != nil {
		return nil, err
	}
	var decision Decision
	err = json.Unmarshal(text, &decision)
	switch {
	case status == 200 && err == nil && decision.Code != "":
		return &decision, nil
	case err == nil && decision.Code != "":
		return nil, fmt.Errorf("the verifier did not decide: %s (%s, HTTP status %d)%s", strings.TrimSpace(decision.Error), decision.Code, status, advice(decision.Code))
	}
	return nil, fmt.Errorf("what answers there is no verifier of Claviger: HTTP status %d, and no decision in it: look at --verifier-url", status)
}

func advice(code string) string {
	switch code {
	case "NOT_READY":
		return ": it has not heard of all keys yet; try again, and if it stays so, run kubectl claviger doctor"
	case "OVERLOADED":
		return ": try again"
	}
	return ""
}
