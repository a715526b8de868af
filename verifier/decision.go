package verifier

import (
	"net/http"
	"time"

	"github.com/claviger-dev/claviger/internal/policy"
)

// Code names a decision: VALID, or why not. The names are part of the API.
type Code = policy.Code

// Decision is the answer.
type Decision struct {
	Code Code
	// Status is the HTTP status to give the client.
	Status int
	// Error is the text to give the client; empty if the request may pass.
	Error string
	// Key is whose key it is. It is zero where that is not known or not for the asker to know.
	Key Key
	// Limits is how the key's limits stand, if they were asked: after VALID and RATE_LIMITED.
	Limits []Limit
	// RetryAfter is how long to wait after RATE_LIMITED.
	RetryAfter time.Duration
	// At is when it was decided: what ResetAt of the limits is to be compared with.
	At time.Time
}

// Valid says whether the request may pass.
func (d *Decision) Valid() bool { return d.Code == policy.CodeValid }

// Key is a key's identity. Its slice and map must not be changed.
type Key struct {
	ID             string
	Name           string // of the ApiKey
	Namespace      string
	Workspace      string // the ID: namespace/name
	Environment    string // live or test
	DisplayName    string
	ServiceAccount string   // empty: none
	Scopes         []string // what the key may really do, in order
	Metadata       map[string]string
	ExpiresAt      time.Time // zero: never
}

// Limit is one rate of a KeyLimit, and how it stands.
type Limit struct {
	Name     string        // of the KeyLimit
	Requests int64         // in each Per
	Per      time.Duration //
	// Capacity is the most that can be asked at once: Requests, or the burst.
	Capacity  int64
	Remaining int64
	// ResetAt is when the limit is whole again if nothing more is asked.
	ResetAt time.Time
}

func answer(code Code) Decision {
	status := code.Status()
	if status == 0 {
		// A code without a place in the vocabulary is our mistake, and must not pass for leave.
		status = http.StatusInternalServerError
	}
	return Decision{Code: code, Status: status, Error: code.Message()}
}

// tellsIdentity says whether the asker is entitled to know whose key it is: not of a key
// of another workspace, nor of one that belongs to nobody any more.
func tellsIdentity(code Code) bool {
	return code != policy.CodeWorkspaceMismatch && code != policy.CodeKeyInvalid
}

func identity(record *policy.Record) Key {
	k := record.Key
	return Key{
		ID:             k.ID,
		Name:           k.Name,
		Namespace:      k.Namespace,
		Workspace:      record.Workspace.ID,
		Environment:    k.Environment,
		DisplayName:    k.DisplayName,
		ServiceAccount: k.Account,
		Scopes:         k.Scopes.List(),
		Metadata:       k.Metadata,
		ExpiresAt:      k.ExpiresAt,
	}
}

// workspaceID is the ID of the workspace a key names, whether or not that exists.
func workspaceID(k *policy.Key) string { return k.Namespace + "/" + k.Workspace }
