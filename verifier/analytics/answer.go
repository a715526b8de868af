package analytics

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/claviger-dev/claviger/internal/policy"
)

// answer is what is answered. Its status is 0 until something is sent.
type answer struct {
	http.ResponseWriter
	requestID string
	status    int
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(b)
}

// json answers with a body.
func (a *answer) json(status int, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	a.Header().Set("Content-Type", "application/json")
	a.WriteHeader(status)
	a.Write(text) //nolint:errcheck // the client has gone
	return nil
}

// problem is a question that is not answered.
type problem struct {
	status     int
	code, text string
	challenge  string // for WWW-Authenticate
	retryAfter string // in seconds; empty: it is of no use
}

func (p *problem) Error() string { return p.text }

func (a *answer) problem(p *problem) {
	if p.challenge != "" {
		a.Header().Set("WWW-Authenticate", p.challenge)
	}
	if p.status == http.StatusServiceUnavailable && p.retryAfter == "" {
		p.retryAfter = "1"
	}
	if p.retryAfter != "" {
		a.Header().Set("Retry-After", p.retryAfter)
	}
	a.json(p.status, map[string]string{"error": p.text, "code": p.code, "requestId": a.requestID}) //nolint:errcheck // it is text
}

// malformed is a question that makes no sense, and how to put it.
func malformed(format string, values ...any) error {
	code := policy.CodeRequestInvalid
	return &problem{status: http.StatusBadRequest, code: code.String(), text: code.Message() + ": " + fmt.Sprintf(format, values...)}
}

// notFound is the same whether there is no such thing, or whoever asks may not know of it.
func notFound(text string) error {
	return &problem{status: http.StatusNotFound, code: "NOT_FOUND", text: text}
}
