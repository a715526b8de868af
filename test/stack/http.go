package stack

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Answer is what a door of the verifier answered.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Decision is the answer of POST /v1/verify.
type Decision struct {
	Valid     bool   `json:"valid"`
	Code      string `json:"code"`
	Status    int    `json:"status"`
	Error     string `json:"error"`
	RequestID string `json:"requestId"`
	Key       struct {
		ID             string            `json:"id"`
		Name           string            `json:"name"`
		Namespace      string            `json:"namespace"`
		Workspace      string            `json:"workspace"`
		Environment    string            `json:"environment"`
		DisplayName    string            `json:"displayName"`
		Scopes         []string          `json:"scopes"`
		ServiceAccount string            `json:"serviceAccount"`
		Metadata       map[string]string `json:"metadata"`
		ExpiresAt      string            `json:"expiresAt"`
	} `json:"key"`
	Limits []Limit `json:"limits"`
}

// Limit is how a limit stands.
type Limit struct {
	Name      string `json:"name"`
	Unit      string `json:"unit"`
	Limit     int64  `json:"limit"`
	Remaining int64  `json:"remaining"`
	ResetAt   string `json:"resetAt"`
}

// Do sends a request to the verifier. Headers are pairs of name and value.
func (s *Stack) Do(t testing.TB, method, path, body string, headers ...string) Answer {
	t.Helper()
	request, err := http.NewRequest(method, s.VerifierURL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return Answer{response.StatusCode, response.Header, string(text)}
}

// Auth asks the forward-auth door. Headers are pairs of name and value.
func (s *Stack) Auth(t testing.TB, query string, headers ...string) Answer {
	t.Helper()
	return s.Do(t, http.MethodGet, "/v1/auth"+query, "", headers...)
}

// Verify asks POST /v1/verify about a key; more fields of the question may follow as pairs of name
// and value.
func (s *Stack) Verify(t testing.TB, key string, more ...any) Decision {
	t.Helper()
	question := map[string]any{"key": key}
	for i := 0; i+1 < len(more); i += 2 {
		question[more[i].(string)] = more[i+1]
	}
	body, err := json.Marshal(question)
	if err != nil {
		t.Fatal(err)
	}
	answer := s.Do(t, http.MethodPost, "/v1/verify", string(body), "Content-Type", "application/json")
	if answer.Status != http.StatusOK {
		t.Fatalf("a well-formed question was answered %d: %s", answer.Status, answer.Body)
	}
	var decision Decision
	if err := json.Unmarshal([]byte(answer.Body), &decision); err != nil {
		t.Fatalf("%v in %s", err, answer.Body)
	}
	return decision
}

// Scope asks GET /v1/scope how a key's limits stand, which takes nothing.
func (s *Stack) Scope(t testing.TB, key string) []Limit {
	t.Helper()
	answer := s.Do(t, http.MethodGet, "/v1/scope", "", "X-API-Key", key)
	var scope struct{ Limits []Limit }
	if err := json.Unmarshal([]byte(answer.Body), &scope); err != nil || answer.Status != http.StatusOK {
		t.Fatalf("GET /v1/scope: %d %s", answer.Status, answer.Body)
	}
	return scope.Limits
}

// Report tells what a request cost that was let pass.
func (s *Stack) Report(t testing.TB, of Decision, microcents int64) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"requestId": of.RequestID, "keyId": of.Key.ID, "spendMicrocents": microcents})
	if err != nil {
		t.Fatal(err)
	}
	if answer := s.Do(t, http.MethodPost, "/v1/usage", string(body), "Content-Type", "application/json"); answer.Status != http.StatusOK {
		t.Fatalf("POST /v1/usage: %d %s", answer.Status, answer.Body)
	}
}

// AwaitCode waits until a key is answered with a code.
func (s *Stack) AwaitCode(t testing.TB, key, code string) Decision {
	t.Helper()
	var decision Decision
	Eventually(t, func() string {
		if decision = s.Verify(t, key); decision.Code != code {
			return "the key is answered " + decision.Code + ", not " + code
		}
		return ""
	})
	return decision
}

// AwaitVerifier waits until the verifier knows a key: an ApiKey is Ready when its hash is
// written, which is a moment before the hash has reached the verifier. It asks for a workspace that
// does not exist, so that nothing is counted against the key's limits.
func (s *Stack) AwaitVerifier(t testing.TB, key string) {
	t.Helper()
	Eventually(t, func() string {
		if code := s.Verify(t, key, "workspace", "no/where").Code; code != "WORKSPACE_MISMATCH" {
			return "the verifier does not know the key and answers " + code
		}
		return ""
	})
}

// Get reads an answer of GET into a value; that it is not 200 fails the test. Headers are pairs of name and value.
func (s *Stack) Get(t testing.TB, path string, into any, headers ...string) {
	t.Helper()
	answer := s.Do(t, http.MethodGet, path, "", headers...)
	if answer.Status != http.StatusOK {
		t.Fatalf("GET %s: %d %s", path, answer.Status, answer.Body)
	}
	if err := json.Unmarshal([]byte(answer.Body), into); err != nil {
		t.Fatalf("GET %s: %v in %s", path, err, answer.Body)
	}
}

// Tell reports how a request ended that was let pass: fields are pairs of name and value.
func (s *Stack) Tell(t testing.TB, of Decision, fields ...any) {
	t.Helper()
	report := map[string]any{"requestId": of.RequestID, "keyId": of.Key.ID}
	for i := 0; i+1 < len(fields); i += 2 {
		report[fields[i].(string)] = fields[i+1]
	}
	body, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	if answer := s.Do(t, http.MethodPost, "/v1/usage", string(body), "Content-Type", "application/json"); answer.Status != http.StatusOK {
		t.Fatalf("POST /v1/usage: %d %s", answer.Status, answer.Body)
	}
}
