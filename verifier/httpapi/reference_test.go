package httpapi

import (
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/internal/presented"
)

// What the doors answer, and how encoding/json would write and read it.

type problemBody struct {
	Error     string `json:"error"`
	Code      string `json:"code"`
	RequestID string `json:"requestId"`
}

type verdict struct {
	Valid     bool          `json:"valid"`
	Code      verifier.Code `json:"code"`
	Status    int           `json:"status"`
	Error     string        `json:"error,omitempty"`
	RequestID string        `json:"requestId"`
	Key       *identity     `json:"key,omitempty"`
	Limits    []limitState  `json:"limits,omitempty"`
	Checks    []checkResult `json:"checks,omitempty"`
}

type identity struct {
	ID             string            `json:"id"`
	Name           string            `json:"name"`
	Namespace      string            `json:"namespace"`
	Workspace      string            `json:"workspace"`
	Environment    string            `json:"environment"`
	DisplayName    string            `json:"displayName,omitempty"`
	Scopes         []string          `json:"scopes"`
	Entity         *entity           `json:"entity,omitempty"`
	ServiceAccount string            `json:"serviceAccount,omitempty"`
	Metadata       map[string]string `json:"metadata,omitempty"`
	ExpiresAt      *time.Time        `json:"expiresAt,omitempty"`
}

type entity struct {
	Kind       string `json:"kind"`
	ID         string `json:"id"`
	Department string `json:"department,omitempty"`
}

type limitState struct {
	Name      string    `json:"name"`
	Unit      string    `json:"unit"`
	Limit     int64     `json:"limit"`
	Remaining int64     `json:"remaining"`
	ResetAt   time.Time `json:"resetAt"`
}

type checkResult struct {
	Name    string `json:"name"`
	Outcome string `json:"outcome"`
	Code    string `json:"code,omitempty"`
	Decided bool   `json:"decided,omitempty"`
}

// referenceQuestion reads a question by encoding/json, as strictly as the door does.
func referenceQuestion(body io.Reader) (verifier.Request, error) {
	var (
		request  verifier.Request
		clientIP string
		d        = referenceDecoder{json.NewDecoder(body)}
	)
	err := d.object(false, map[string]any{
		"key":       &request.Key,
		"workspace": &request.Workspace,
		"resource":  &request.Resource,
		"clientIP":  &clientIP,
		"explain":   &request.Explain,
		"scopes":    map[string]any{"allOf": &request.Scopes.AllOf, "anyOf": &request.Scopes.AnyOf},
		"cost":      map[string]any{"requests": &request.Cost.Requests, "spendMicrocents": &request.Cost.SpendMicrocents},
		"labels":    map[string]any{"tier": &request.Labels.Tier, "domain": &request.Labels.Domain},
	})
	if err == nil {
		if _, end := d.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("something follows")
		}
	}
	if err == nil && clientIP != "" {
		request.ClientIP, err = netip.ParseAddr(clientIP)
	}
	return request, err
}

// referenceReport does the same with a report.
func referenceReport(body io.Reader) (verifier.Report, error) {
	var (
		report       verifier.Report
		keyID        string
		milliseconds int64
		d            = referenceDecoder{json.NewDecoder(body)}
	)
	err := d.object(false, map[string]any{
		"requestId":       &report.RequestID,
		"key":             &report.Key,
		"keyId":           &keyID,
		"spendMicrocents": &report.SpendMicrocents,
		"outcome":         &report.Outcome,
		"error":           &report.Error,
		"labels":          map[string]any{"tier": &report.Labels.Tier, "domain": &report.Labels.Domain},
		"latencyMs":       &milliseconds,
	})
	if err == nil {
		if _, end := d.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("something follows")
		}
	}
	if err == nil && keyID != "" {
		report.KeyID, err = keyid.Parse(keyID)
	}
	if report.RequestID != "" && !presented.ValidReportedID(report.RequestID) || milliseconds < 0 || milliseconds > 24*60*60*1000 {
		err = errors.New("nobody's ID, or of no day")
	}
	report.Latency = time.Duration(milliseconds) * time.Millisecond
	return report, err
}

type referenceDecoder struct {
	*json.Decoder
}

// object reads an object into fields: pointers, or fields of their own.
func (d referenceDecoder) object(orNull bool, fields map[string]any) error {
	begin, err := d.Token()
	switch {
	case err != nil:
		return err
	case begin == nil && orNull:
		return nil
	case begin != json.Delim('{'):
		return errors.New("no object")
	}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		name, ok := token.(string)
		into, known := fields[name]
		if !ok || !known || seen[name] {
			return errors.New("no name, an unknown one, or one seen before")
		}
		seen[name] = true
		if inner, ok := into.(map[string]any); ok {
			err = d.object(true, inner)
		} else {
			err = d.Decode(into)
		}
		if err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}
