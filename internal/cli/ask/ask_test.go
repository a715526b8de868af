package ask

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
)

const key = "ak_live_NotARealKey"

func serve(t *testing.T, status int, answer string) (*httptest.Server, *http.Request, *[]byte) {
	t.Helper()
	var seen http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = *r
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return server, &seen, &body
}

func TestAVerifierIsAskedAtItsURL(t *testing.T) {
	server, request, body := serve(t, 200, `{"valid":true,"code":"VALID","status":200,"requestId":"r"}`)
	v, err := AtURL(server.URL + "/edge/")
	if err != nil {
		t.Fatal(err)
	}
	decision, err := Verify(t.Context(), v, Question{Key: key, Scopes: &Scopes{AllOf: []string{"a:b"}}, Explain: true})
	if err != nil || !decision.Valid {
		t.Fatalf("%+v, %v", decision, err)
	}
	if request.Method != "POST" || request.URL.Path != "/edge/v1/verify" || request.URL.RawQuery != "" {
		t.Errorf("asked %s %s", request.Method, request.URL)
	}
	var question Question
	if err := json.Unmarshal(*body, &question); err != nil || question.Key != key || question.Scopes.AllOf[0] != "a:b" {
		t.Errorf("asked %s", *body)
	}
}

func TestAVerifierIsAskedThroughTheAPIServer(t *testing.T) {
	server, request, _ := serve(t, 200, `{"valid":false,"code":"KEY_INVALID","status":401,"error":"Invalid API key"}`)
	v, err := Proxied(&rest.Config{Host: server.URL}, "claviger-system")
	if err != nil {
		t.Fatal(err)
	}
	decision, err := Verify(t.Context(), v, Question{Key: key})
	if err != nil || decision.Code != "KEY_INVALID" {
		t.Fatalf("%+v, %v", decision, err)
	}
	const want = "/api/v1/namespaces/claviger-system/services/http:claviger-verifier:http/proxy/v1/verify"
	if request.Method != "POST" || request.URL.Path != want {
		t.Errorf("asked %s %s, not %s", request.Method, request.URL.Path, want)
	}
}

func TestWhatIsNoDecisionIsAnErrorThatSaysWhatToDo(t *testing.T) {
	status := func(reason string, code string) string {
		return `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no","reason":"` + reason + `","code":` + code + `}`
	}
	for _, c := range []struct {
		name, answer, want string
		status             int
		proxied            bool
	}{
		{"a verifier that is not ready", `{"error":"not ready","code":"NOT_READY"}`, "it has not heard of all keys yet", 503, false},
		{"and through the API server", `{"error":"not ready","code":"NOT_READY"}`, "it has not heard of all keys yet", 503, true},
		{"a question that is not well formed", `{"error":"scopes.allOf[0]: mend it","code":"REQUEST_INVALID"}`, "scopes.allOf[0]: mend it", 400, true},
		{"something else", `<html>welcome</html>`, "no verifier of Claviger", 200, false},
		{"something else in JSON", `{"hello":"world"}`, "look at --verifier-url", 200, false},
		{"no permission", status("Forbidden", "403"), "the verb create on services/proxy, resource name http:claviger-verifier:http, in namespace claviger-system", 403, true},
		{"no Service", status("NotFound", "404"), "--system-namespace", 404, true},
		{"no pod behind it", status("ServiceUnavailable", "503"), "is a verifier running there?", 503, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, _, _ := serve(t, c.status, c.answer)
			v, err := AtURL(server.URL)
			if c.proxied {
				v, err = Proxied(&rest.Config{Host: server.URL}, "claviger-system")
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Verify(t.Context(), v, Question{Key: key}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, without %q", err, c.want)
			} else if strings.Contains(err.Error(), key) {
				t.Error("the error shows the key")
			}
		})
	}
}

func TestNoErrorShowsTheKey(t *testing.T) {
	for _, address := range []string{"", "nonsense", "ftp://x", "http://127.0.0.1:1", "http://user:word@127.0.0.1:1"} {
		v, err := AtURL(address)
		if err == nil {
			_, err = Verify(context.Background(), v, Question{Key: key})
		}
		if err == nil || strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "word@") {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestAKeyIsNotSentOnToWhereARedirectLeads(t *testing.T) {
	other, request, _ := serve(t, 200, `{"valid":true,"code":"VALID"}`)
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	t.Cleanup(server.Close)
	v, _ := AtURL(server.URL)
	if _, err := Verify(t.Context(), v, Question{Key: key}); err == nil || request.Method != "" {
		t.Errorf("followed: %v", err)
	}
}

func TestChecklist(t *testing.T) {
	identity := &Key{Name: "checkout", Namespace: "team", Workspace: "team/shop", Scopes: []string{"orders:read"}}
	for _, c := range []struct {
		name     string
		decision Decision
		question Question
		want     string
	}{
		{"a good key", Decision{Valid: true, Code: "VALID", Status: 200, Key: identity,
			Checks: []Check{{Name: "key", Outcome: "passed"}, {Name: "workspace", Outcome: "passed"}, {Name: "scopes", Outcome: "passed"}, {Name: "limits", Outcome: "passed"}},
			Limits: []Limit{{"standard-minute", "requests", 100, 96, "2026-11-21T09:31:00Z"}},
		}, Question{Scopes: &Scopes{AllOf: []string{"orders:read"}}}, `VALID: the request may pass.
The key is that of ApiKey team/checkout in workspace team/shop.

✓ key        It is a key that is known.
✓ workspace  No workspace was asked for.
✓ scopes     It has the scopes that were asked for.
✓ limits     Its limits leave room for the request.

standard-minute: 96 of 100 requests left, whole again at 2026-11-21T09:31:00Z
`},
		{"a key with too little", Decision{Code: "SCOPE_INSUFFICIENT", Status: 403, Error: "API key does not have the required scope", Key: identity,
			Checks: []Check{{Name: "key", Outcome: "passed"}, {Name: "address", Outcome: "failed", Code: "ADDRESS_DENIED"}, {Name: "scopes", Outcome: "failed", Code: "SCOPE_INSUFFICIENT", Decided: true}, {Name: "limits", Outcome: "skipped"}},
		}, Question{Scopes: &Scopes{AllOf: []string{"orders:drop"}, AnyOf: []string{"a", "b"}}}, `SCOPE_INSUFFICIENT: the request is refused with status 403, "API key does not have the required scope".
The key is that of ApiKey team/checkout in workspace team/shop.

✓ key        It is a key that is known.
✗ address    It may be used from certain networks only, and no address was asked about: give --ip.
✗ scopes     Asked for was all of orders:drop and one of a, b, and the key has orders:read: add what is missing to spec.scopes of its ApiKey, within the Workspace's catalogue. This decided.
– limits     Not looked at: it could change nothing any more.
`},
		{"an unknown key", Decision{Code: "KEY_INVALID", Status: 401, Error: "Invalid API key",
			Checks: []Check{{Name: "key", Outcome: "failed", Code: "KEY_INVALID", Decided: true}}}, Question{}, `KEY_INVALID: the request is refused with status 401, "Invalid API key".

✗ key        It is no key that the verifier knows: it was mistyped, or its ApiKey, Workspace or ServiceAccount was deleted, or it was replaced. This decided.
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got strings.Builder
			if err := c.decision.Print(&got, c.question); err != nil || got.String() != c.want {
				t.Errorf("got, %v\n%s", err, got.String())
			}
		})
	}
}
