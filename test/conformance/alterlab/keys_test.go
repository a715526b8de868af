package alterlab

import (
	"strings"
	"testing"

	"github.com/claviger-dev/claviger/test/stack"
)

// A1: a key is renamed, and stays what it is.
func TestA1Rename(t *testing.T) {
	key := issue(t)
	before := claviger.Scope(t, key)
	claviger.Kubectl(t, "patch", "apikey", "scraper", "-n", namespace, "--type=merge", "-p", `{"spec":{"displayName":"Hourly scraper"}}`)
	stack.Eventually(t, func() string {
		if got := claviger.Verify(t, key, "workspace", namespace+"/acme"); got.Key.DisplayName != "Hourly scraper" {
			return "the name is " + got.Key.DisplayName
		}
		return ""
	})
	if after := claviger.Scope(t, key); len(after) != len(before) {
		t.Errorf("with its name its limits changed: %+v", after)
	}
	if claviger.Key(t, namespace, "scraper") != key {
		t.Error("the key is another one")
	}
}

// A2: the plain text can be read again, by those who may read its Secret.
func TestA2ReadAgain(t *testing.T) {
	key := issue(t)
	for _, again := range []string{"once", "and again"} {
		if claviger.Key(t, namespace, "scraper") != key {
			t.Errorf("%s, the key reads otherwise", again)
		}
	}
	for role, may := range map[string]bool{"claviger-key-user": true, "claviger-key-viewer": false, "view": false} {
		user := "of-" + role
		claviger.Kubectl(t, "create", "rolebinding", user, "-n", namespace, "--clusterrole="+role, "--user="+user)
		out, err := claviger.Try("", "get", "secret", "scraper", "-n", namespace, "--as", user, "-o", "go-template={{.data | len}}")
		if (err == nil) != may {
			t.Errorf("%s may read the key: %v, want %v: %s", role, err == nil, may, out)
		}
		if out, err := claviger.Try("", "get", "apikey", "scraper", "-n", namespace, "--as", user); err != nil {
			t.Errorf("%s may not see what the key is: %s", role, out)
		}
	}
}

const rotated = `
apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata: {name: regenerated}
spec:
  workspaceRef: {name: acme}
`

// A4: a key is made anew: the ID and the Secret stay, and the one before stops.
func TestA4Regenerate(t *testing.T) {
	issue(t)
	claviger.Apply(t, namespace, rotated)
	claviger.AwaitKey(t, namespace, "regenerated")
	before := claviger.Key(t, namespace, "regenerated")
	claviger.AwaitVerifier(t, before)
	id := claviger.Verify(t, before).Key.ID

	claviger.Kubectl(t, "annotate", "apikey", "regenerated", "-n", namespace, "keys.claviger.dev/regenerate=2026-11-27")
	claviger.AwaitCode(t, before, "KEY_INVALID")
	after := claviger.Key(t, namespace, "regenerated")
	if after == before {
		t.Fatal("the key is the one before")
	}
	claviger.AwaitVerifier(t, after)
	if got := claviger.Verify(t, after); !got.Valid || got.Key.ID != id {
		t.Errorf("the next one is answered %+v, and the ID was %s", got, id)
	}
	if got := claviger.Kubectl(t, "get", "apikey", "regenerated", "-n", namespace, "-o", "jsonpath={.status.keyGeneration}"); got != "2" {
		t.Errorf("it is key number %s", got)
	}
}

// A11: the key travels in X-API-Key, and with it, if the client likes, which organization it speaks of. A key of
// another organization looks like none.
func TestA11Organization(t *testing.T) {
	issue(t)
	claviger.Apply(t, namespace, strings.ReplaceAll(rotated, "regenerated", "organized"))
	claviger.AwaitKey(t, namespace, "organized")
	key := claviger.Key(t, namespace, "organized")
	claviger.AwaitVerifier(t, key)
	for name, test := range map[string]struct {
		headers []string
		status  int
	}{
		"no organization":  {nil, 200},
		"its organization": {[]string{"X-Organization-Id", namespace + "/acme"}, 200},
		"another":          {[]string{"X-Organization-Id", namespace + "/legacy"}, 401},
		"one that is not":  {[]string{"X-Organization-Id", "no/where"}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			answer := claviger.Auth(t, "", append([]string{"X-API-Key", key}, test.headers...)...)
			if answer.Status != test.status {
				t.Errorf("%d %s, want %d", answer.Status, answer.Body, test.status)
			}
		})
	}
}
