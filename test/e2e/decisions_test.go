package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/claviger-dev/claviger/test/stack"
)

const shop = `
apiVersion: keys.claviger.dev/v1alpha1
kind: Workspace
metadata: {name: shop}
spec:
  scopes:
  - {name: "orders:read"}
  - {name: "orders:create", implies: ["orders:read"]}
---
apiVersion: keys.claviger.dev/v1alpha1
kind: Workspace
metadata: {name: closed}
spec: {}
---
apiVersion: keys.claviger.dev/v1alpha1
kind: ServiceAccount
metadata: {name: robot}
spec: {workspaceRef: {name: shop}, scopes: ["orders:read"], maxActiveKeys: 5}
---
apiVersion: keys.claviger.dev/v1alpha1
kind: KeyLimit
metadata: {name: three}
spec: {rates: [{requests: 3, per: 1h}]}
`

// apiKey is the manifest of an ApiKey; spec is written as in YAML's flow style.
func apiKey(name, workspace, spec string) string {
	if spec != "" {
		spec = ", " + spec
	}
	return fmt.Sprintf("---\napiVersion: keys.claviger.dev/v1alpha1\nkind: ApiKey\nmetadata: {name: %s}\nspec: {workspaceRef: {name: %s}%s}\n", name, workspace, spec)
}

// issueKeys applies keys and returns their plain text by name, known to the verifier.
func issueKeys(t *testing.T, namespace, manifests string, names ...string) map[string]string {
	t.Helper()
	claviger.Apply(t, namespace, manifests)
	claviger.AwaitKey(t, namespace, names...)
	keys := map[string]string{}
	for _, name := range names {
		keys[name] = claviger.Key(t, namespace, name)
		claviger.AwaitVerifier(t, keys[name])
	}
	return keys
}

func patch(t *testing.T, namespace, kind, name, spec string) {
	t.Helper()
	claviger.Kubectl(t, "patch", kind, name, "-n", namespace, "--type=merge", "-p", `{"spec":`+spec+`}`)
}

func TestEveryCauseHasItsOwnAnswer(t *testing.T) {
	ns := claviger.Namespace(t, "causes")
	keys := issueKeys(t, ns, shop+
		apiKey("good", "shop", `scopes: ["orders:create"]`)+apiKey("expiring", "shop", "ttl: 1s")+
		apiKey("disabled", "shop", "")+apiKey("revoked", "shop", "")+apiKey("suspended", "closed", "")+
		apiKey("limited", "shop", "limitRefs: [{name: three}]")+
		apiKey("robotic", "shop", `scopes: ["orders:read"], serviceAccountRef: {name: robot}`)+
		apiKey("homebound", "shop", `allowedCIDRs: ["192.0.2.0/24"]`),
		"good", "expiring", "disabled", "revoked", "suspended", "limited", "robotic", "homebound")

	if decision := claviger.Verify(t, keys["robotic"], "scopes", map[string]any{"allOf": []string{"orders:read"}}); !decision.Valid || decision.Key.ServiceAccount != "robot" {
		t.Errorf("a key of a service account: %+v", decision)
	}
	patch(t, ns, "apikey", "disabled", `{"state":"Disabled"}`)
	patch(t, ns, "apikey", "revoked", `{"state":"Revoked"}`)
	patch(t, ns, "workspace", "closed", `{"suspended":true}`)
	patch(t, ns, "serviceaccount.keys.claviger.dev", "robot", `{"suspended":true}`)
	for range 3 {
		claviger.AwaitCode(t, keys["limited"], "VALID")
	}

	tests := map[string]struct {
		key, query string
		code       string
		status     int
		text       string
		challenge  string
	}{
		"good":               {keys["good"], "", "VALID", 200, "", ""},
		"good for the scope": {keys["good"], "?scope=orders:read&scope=orders:create", "VALID", 200, "", ""},
		"wrong scope":        {keys["good"], "?scope=orders:delete", "SCOPE_INSUFFICIENT", 403, "API key does not have the required scope", `error="insufficient_scope"`},
		"expired":            {keys["expiring"], "", "KEY_EXPIRED", 401, "API key has expired", `error="invalid_token"`},
		"disabled":           {keys["disabled"], "", "KEY_DISABLED", 403, "API key is disabled", ""},
		"revoked":            {keys["revoked"], "", "KEY_REVOKED", 401, "API key has been revoked", `error="invalid_token"`},
		"suspended":          {keys["suspended"], "", "WORKSPACE_SUSPENDED", 403, "Workspace is suspended", ""},
		"account suspended":  {keys["robotic"], "", "ACCOUNT_SUSPENDED", 403, "Service account is suspended", ""},
		"elsewhere":          {keys["homebound"], "", "ADDRESS_DENIED", 403, "API key may not be used from this address", ""},
		"limit reached":      {keys["limited"], "", "RATE_LIMITED", 429, "Rate limit exceeded. Please try again later.", ""},
		"unknown":            {"ak_live_" + strings.Repeat("0", 32), "", "KEY_INVALID", 401, "Invalid API key", `error="invalid_token"`},
		"no key at all":      {"not-a-key", "", "KEY_INVALID", 401, "Invalid API key", `error="invalid_token"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.query == "" {
				decision := claviger.AwaitCode(t, test.key, test.code)
				if decision.Status != test.status || decision.Error != test.text || decision.Valid != (test.code == "VALID") {
					t.Errorf("/v1/verify: %+v", decision)
				}
			}
			answer := claviger.Auth(t, test.query, "Authorization", "Bearer "+test.key)
			var body struct{ Error, Code, RequestID string }
			if test.status != 200 {
				if err := json.Unmarshal([]byte(answer.Body), &body); err != nil {
					t.Fatalf("%v in %s", err, answer.Body)
				}
			}
			if answer.Status != test.status || body.Error != test.text {
				t.Errorf("/v1/auth: %d %s", answer.Status, answer.Body)
			}
			if test.status != 200 && (body.Code != test.code || body.RequestID == "") {
				t.Errorf("/v1/auth: %s", answer.Body)
			}
			if !strings.Contains(answer.Header.Get("WWW-Authenticate"), test.challenge) {
				t.Errorf("WWW-Authenticate: %s, want %s in it", answer.Header.Get("WWW-Authenticate"), test.challenge)
			}
			if (answer.Header.Get("Retry-After") != "") != (test.status == 429) {
				t.Errorf("Retry-After: %q", answer.Header.Get("Retry-After"))
			}
		})
	}
}

func TestEveryFormOfTheHeader(t *testing.T) {
	ns := claviger.Namespace(t, "headers")
	keys := issueKeys(t, ns, shop+apiKey("one", "shop", "")+apiKey("two", "shop", ""), "one", "two")
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	tests := map[string]struct {
		headers []string
		status  int
	}{
		"X-API-Key":                  {[]string{"X-API-Key", keys["one"]}, 200},
		"Bearer":                     {[]string{"Authorization", "Bearer " + keys["one"]}, 200},
		"bearer in small letters":    {[]string{"Authorization", "bearer " + keys["one"]}, 200},
		"Basic, the key alone":       {[]string{"Authorization", "Basic " + encode(keys["one"])}, 200},
		"Basic, the key as user":     {[]string{"Authorization", "Basic " + encode(keys["one"]+":")}, 200},
		"Basic, the key as password": {[]string{"Authorization", "Basic " + encode("me:"+keys["one"])}, 200},
		"the same key twice":         {[]string{"X-API-Key", keys["one"], "Authorization", "Bearer " + keys["one"]}, 200},
		"two different keys":         {[]string{"X-API-Key", keys["one"], "Authorization", "Bearer " + keys["two"]}, 400},
		"its own workspace":          {[]string{"X-API-Key", keys["one"], "X-Workspace-Id", ns + "/shop"}, 200},
		"its own organization":       {[]string{"X-API-Key", keys["one"], "X-Organization-Id", ns + "/shop"}, 200},
		"another workspace":          {[]string{"X-API-Key", keys["one"], "X-Workspace-Id", ns + "/closed"}, 401},
		"no key":                     {nil, 401},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if answer := claviger.Auth(t, "", test.headers...); answer.Status != test.status {
				t.Errorf("%d %s, want %d", answer.Status, answer.Body, test.status)
			}
		})
	}
	if answer := claviger.Auth(t, "?api_key="+keys["one"]); answer.Status == 200 {
		t.Errorf("a key in the URL was taken: %d", answer.Status)
	}
	mismatch := claviger.Auth(t, "", "X-API-Key", keys["one"], "X-Workspace-Id", ns+"/closed", "X-Request-Id", "same")
	unknown := claviger.Auth(t, "", "X-API-Key", "ak_live_"+strings.Repeat("0", 32), "X-Workspace-Id", ns+"/closed", "X-Request-Id", "same")
	if mismatch.Body != unknown.Body || mismatch.Status != unknown.Status {
		t.Errorf("another tenant's key can be told from an unknown one: %s and %s", mismatch.Body, unknown.Body)
	}
}

func TestBadQuestionsAreToldWhatIsWrong(t *testing.T) {
	tests := map[string]struct {
		body   string
		status int
		about  string
	}{
		"no JSON":          {"key=abc", 400, ""},
		"nothing":          {"", 400, ""},
		"a list":           {"[]", 400, ""},
		"a wrong type":     {`{"key": 7}`, 400, "key"},
		"a misspelt field": {`{"key": "x", "scope": {}}`, 400, "scope"},
		"two questions":    {`{"key": "x"}{"key": "y"}`, 400, ""},
		"a bad scope":      {`{"key": "x", "scopes": {"allOf": ["a b"]}}`, 400, "scope"},
		"too large":        {`{"key": "` + strings.Repeat("x", 1<<20) + `"}`, 413, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			answer := claviger.Do(t, "POST", "/v1/verify", test.body, "Content-Type", "application/json")
			if answer.Status != test.status || !strings.Contains(answer.Body, "REQUEST_INVALID") || !strings.Contains(answer.Body, test.about) {
				t.Errorf("%d %s", answer.Status, answer.Body)
			}
		})
	}
	if decision := claviger.Verify(t, ""); decision.Code != "KEY_REQUIRED" {
		t.Errorf("an empty key: %+v", decision)
	}
	answer := claviger.Auth(t, "", "X-API-Key", "x", "X-Request-Id", "a b")
	if id := answer.Header.Get("X-Request-Id"); id == "a b" || id == "" {
		t.Errorf("a hostile request id came back as %q", id)
	}
}

func TestStoppingAKeyInEveryWay(t *testing.T) {
	ns := claviger.Namespace(t, "stopping")
	keys := issueKeys(t, ns, shop+apiKey("deleted", "shop", "")+apiKey("kept", "shop", "delivery: {deletionPolicy: Retain}")+apiKey("orphaned", "closed", ""), "deleted", "kept", "orphaned")

	claviger.Kubectl(t, "delete", "apikey", "deleted", "kept", "-n", ns)
	claviger.AwaitCode(t, keys["deleted"], "KEY_INVALID")
	claviger.AwaitCode(t, keys["kept"], "KEY_INVALID")
	stack.Eventually(t, func() string {
		if out, err := claviger.Try("", "get", "secret", "deleted", "-n", ns); err == nil {
			return "the delivered Secret is still there: " + out
		}
		return ""
	})
	if claviger.Key(t, ns, "kept") != keys["kept"] {
		t.Error("a retained Secret was changed")
	}

	if out, err := claviger.Try("", "delete", "workspace", "closed", "-n", ns); err == nil || !strings.Contains(out+err.Error(), "deletionPolicy") {
		t.Errorf("a workspace with keys is deleted: %s %v", out, err)
	}
	patch(t, ns, "workspace", "closed", `{"deletionPolicy":"Cascade"}`)
	stack.Eventually(t, func() string {
		if out := claviger.Kubectl(t, "get", "apikey", "orphaned", "-n", ns, "-o", "jsonpath={.metadata.annotations}"); !strings.Contains(out, "goes-with-workspace") {
			return "the key is not marked to go with its workspace"
		}
		return ""
	})
	claviger.Kubectl(t, "delete", "workspace", "closed", "-n", ns)
	claviger.AwaitCode(t, keys["orphaned"], "KEY_INVALID")
	stack.Eventually(t, func() string {
		if out, err := claviger.Try("", "get", "apikey", "orphaned", "-n", ns); err == nil {
			return "the key is still there: " + out
		}
		return ""
	})
	claviger.Apply(t, ns, shop+apiKey("orphaned", "closed", ""))
	claviger.AwaitKey(t, ns, "orphaned")
	keys["orphaned"] = claviger.Key(t, ns, "orphaned")
	claviger.AwaitCode(t, keys["orphaned"], "VALID")

	claviger.Kubectl(t, "delete", "namespace", ns, "--timeout=90s")
	claviger.AwaitCode(t, keys["orphaned"], "KEY_INVALID")
	stack.Eventually(t, func() string {
		if out := claviger.Kubectl(t, "get", "secrets", "-n", "claviger-system", "-o", "jsonpath={.items[*].metadata.annotations}"); strings.Contains(out, ns+"/") {
			return "hashed Secrets of the namespace are still there"
		}
		return ""
	})
}
