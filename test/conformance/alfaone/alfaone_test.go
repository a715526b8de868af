// Package alfaone shows that Claviger can stand in for AlfaOne's API key authentication:
// one test for each row of its table.
package alfaone

import (
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/claviger-dev/claviger/test/stack"
)

const namespace = "alfaone"

//go:embed manifests/*.yaml
var manifests embed.FS

var claviger *stack.Stack

func TestMain(m *testing.M) {
	os.Exit(stack.Run(m, func(s *stack.Stack) { claviger = s }))
}

var keys = map[string]string{}

// issue applies the manifests once and reads every key out of its Secret.
func issue(t *testing.T) {
	t.Helper()
	if len(keys) > 0 {
		return
	}
	claviger.Kubectl(t, "create", "namespace", namespace)
	for _, file := range []string{"organization.yaml", "keys.yaml"} {
		text, err := manifests.ReadFile("manifests/" + file)
		if err != nil {
			t.Fatal(err)
		}
		claviger.Apply(t, namespace, string(text))
	}
	for _, name := range []string{"production", "development", "large-customer", "short-lived", "compromised"} {
		claviger.AwaitKey(t, namespace, name)
		key := claviger.Key(t, namespace, name)
		claviger.AwaitVerifier(t, key)
		keys[name] = key
	}
}

// F1: the key travels in the x-api-key header.
func TestF1KeyInTheHeader(t *testing.T) {
	issue(t)
	for _, header := range []string{"x-api-key", "X-API-Key"} {
		if answer := claviger.Auth(t, "", header, keys["development"]); answer.Status != 200 {
			t.Errorf("%s: %d %s", header, answer.Status, answer.Body)
		}
	}
	if decision := claviger.Verify(t, keys["development"]); !decision.Valid || decision.Code != "VALID" || decision.Status != 200 {
		t.Errorf("POST /v1/verify: %+v", decision)
	}
}

// F2: ak_live_ or ak_test_ and 32 characters, by environment.
func TestF2KeyFormat(t *testing.T) {
	issue(t)
	for name, form := range map[string]string{
		"production":  `^ak_live_[0-9A-Za-z]{32}$`,
		"development": `^ak_test_[0-9A-Za-z]{32}$`,
	} {
		if !regexp.MustCompile(form).MatchString(keys[name]) {
			t.Errorf("the key of %s does not match %s", name, form)
		}
	}
	if got := claviger.Verify(t, keys["development"]).Key.Environment; got != "test" {
		t.Errorf("environment %q", got)
	}
}

// F4: a descriptive name, one organization per key, and a decision that says which, so that
// the data can be filtered to it.
func TestF4OneOrganizationPerKey(t *testing.T) {
	issue(t)
	const organization = namespace + "/acme"
	key := keys["development"]

	decision := claviger.Verify(t, key)
	if decision.Key.DisplayName != "Development Testing" || decision.Key.Workspace != organization {
		t.Errorf("identity %+v", decision.Key)
	}
	if answer := claviger.Auth(t, "", "X-API-Key", key); answer.Header.Get("X-Claviger-Workspace-Id") != organization {
		t.Errorf("headers %v", answer.Header)
	}
	if got := claviger.Verify(t, key, "workspace", organization); !got.Valid {
		t.Errorf("its own organization: %+v", got)
	}
	if got := claviger.Verify(t, key, "workspace", "alfaone/other"); got.Code != "WORKSPACE_MISMATCH" || got.Key.ID != "" {
		t.Errorf("another organization: %+v", got)
	}

	claviger.Kubectl(t, "patch", "apikey", "development", "-n", namespace, "--type=merge", "-p", `{"spec":{"displayName":"Renamed"}}`)
	stack.Eventually(t, func() string {
		if got := claviger.Verify(t, key).Key.DisplayName; got != "Renamed" {
			return "the name is " + got
		}
		return ""
	})
}

// F5: required, invalid, expired and revoked each have their own text.
func TestF5Errors(t *testing.T) {
	issue(t)
	claviger.Kubectl(t, "patch", "apikey", "compromised", "-n", namespace, "--type=merge", "-p", `{"spec":{"state":"Revoked"}}`)
	claviger.AwaitCode(t, keys["compromised"], "KEY_REVOKED")
	claviger.AwaitCode(t, keys["short-lived"], "KEY_EXPIRED")

	mistyped := []byte(keys["production"])
	mistyped[20] = map[bool]byte{true: 'b', false: 'a'}[mistyped[20] == 'a']
	tests := map[string]struct {
		headers []string
		text    string
	}{
		"no key":           {nil, "API key is required"},
		"a mistyped key":   {[]string{"x-api-key", string(mistyped)}, "Invalid API key"},
		"a key that ended": {[]string{"x-api-key", keys["short-lived"]}, "API key has expired"},
		"a revoked key":    {[]string{"x-api-key", keys["compromised"]}, "API key has been revoked"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			answer := claviger.Auth(t, "", test.headers...)
			if answer.Status != 401 || errorText(t, answer) != test.text {
				t.Errorf("%d %s, want 401 %q", answer.Status, answer.Body, test.text)
			}
		})
	}
}

// F6: the Standard tier is 100 requests a minute, Enterprise 1000; above that 429.
func TestF6Tiers(t *testing.T) {
	issue(t)
	for name, limit := range map[string]int{"production": 100, "large-customer": 1000} {
		t.Run(fmt.Sprintf("%s may ask %d times a minute", name, limit), func(t *testing.T) {
			for i := range limit {
				if answer := claviger.Auth(t, "", "x-api-key", keys[name]); answer.Status != 200 {
					t.Fatalf("request %d: %d %s", i+1, answer.Status, answer.Body)
				}
			}
			answer := claviger.Auth(t, "", "x-api-key", keys[name])
			if answer.Status != 429 || errorText(t, answer) != "Rate limit exceeded. Please try again later." {
				t.Fatalf("request %d: %d %s", limit+1, answer.Status, answer.Body)
			}
			if wait, err := strconv.Atoi(answer.Header.Get("Retry-After")); err != nil || wait < 1 || wait > 60 {
				t.Errorf("Retry-After %q", answer.Header.Get("Retry-After"))
			}
			if got, want := answer.Header.Get("RateLimit-Policy"), fmt.Sprintf(`"minute";q=%d;w=60`, limit); got != want {
				t.Errorf("RateLimit-Policy %s, want %s", got, want)
			}
		})
	}
}

// F7: usage can be monitored, on the resource itself.
func TestF7Usage(t *testing.T) {
	issue(t)
	const name = "development"
	before := claviger.Verify(t, keys[name])
	if !before.Valid {
		t.Fatalf("%+v", before)
	}
	stack.Eventually(t, func() string {
		out := claviger.Kubectl(t, "get", "ak", name, "-n", namespace, "-o", "jsonpath={.status.usage.period.requests}")
		if count, err := strconv.Atoi(out); err != nil || count < 1 {
			return "status.usage counts " + out
		}
		return ""
	})
	if table := claviger.Kubectl(t, "get", "ak", name, "-n", namespace); !regexp.MustCompile(`NAME +STATE +HINT +USED +REMAINING +EXPIRES +LAST USED +AGE`).MatchString(table) {
		t.Errorf("the columns a person sees are\n%s", table)
	}
}

func errorText(t *testing.T, answer stack.Answer) string {
	t.Helper()
	var body struct{ Error string }
	if err := json.Unmarshal([]byte(answer.Body), &body); err != nil {
		t.Fatalf("%v in %s", err, answer.Body)
	}
	return body.Error
}
