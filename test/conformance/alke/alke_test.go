// Package alke shows that Claviger can stand in for the service accounts and tokens of Alke Analytics: one test for each row of
// its table but K7, the reports, which has its test when what it needs is there.
package alke

import (
	"embed"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/claviger-dev/claviger/test/stack"
)

const (
	namespace = "alke"
	workspace = namespace + "/acme"
	account   = "reporting-pipeline"
)

//go:embed manifests/*.yaml
var manifests embed.FS

var claviger *stack.Stack

func TestMain(m *testing.M) {
	os.Exit(stack.Run(m, func(s *stack.Stack) { claviger = s }))
}

// identity is whom the token is sealed to.
var identity *age.X25519Identity

// accountManifest is the account that its owner makes; owner and member are people of the organization.
var accountManifest string

const owner, member = "olivia@acme.example", "mo@acme.example"

// organize makes the organization once, with its people.
func organize(t *testing.T) {
	t.Helper()
	if identity != nil {
		return
	}
	made, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	organization, err := manifests.ReadFile("manifests/organization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text, err := manifests.ReadFile("manifests/account.yaml")
	if err != nil {
		t.Fatal(err)
	}
	accountManifest = strings.ReplaceAll(string(text), "RECIPIENT", made.Recipient().String())
	claviger.Kubectl(t, "create", "namespace", namespace)
	claviger.Apply(t, namespace, string(organization))
	for user, role := range map[string]string{owner: "claviger-workspace-owner", member: "claviger-key-user"} {
		name, _, _ := strings.Cut(user, "@")
		claviger.Kubectl(t, "create", "rolebinding", name, "-n", namespace, "--clusterrole="+role, "--user="+user)
	}
	identity = made
}

var firstToken string

// token is the account's token, as the one who asked for it reads it.
func token(t *testing.T) string {
	t.Helper()
	organize(t)
	if firstToken != "" {
		return firstToken
	}
	if out, err := claviger.Try(accountManifest, "apply", "-n", namespace, "--as", owner, "-f", "-"); err != nil {
		t.Fatalf("the owner makes an account: %v\n%s", err, out)
	}
	claviger.Kubectl(t, "wait", "-n", namespace, "--for=create", "apikey/"+account, "--timeout=90s")
	claviger.AwaitKey(t, namespace, account)
	firstToken = open(t, account)
	claviger.AwaitVerifier(t, firstToken)
	return firstToken
}

// open reads a sealed key.
func open(t *testing.T, name string) string {
	t.Helper()
	sealed := claviger.Kubectl(t, "get", "apikey", name, "-n", namespace, "-o", "jsonpath={.status.sealed.ciphertext}")
	plain, err := age.Decrypt(armor.NewReader(strings.NewReader(sealed)), identity)
	if err != nil {
		t.Fatalf("what is sealed cannot be read: %v in %q", err, sealed)
	}
	key, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(key))
}

// K1: a service account belongs to one organization, and only an owner makes one.
func TestK1OnlyAnOwnerMakesAnAccount(t *testing.T) {
	organize(t)
	out, err := claviger.Try(accountManifest, "create", "-n", namespace, "--as", member, "-f", "-")
	if err == nil || !strings.Contains(out, "forbidden") {
		t.Errorf("a member makes an account: %v %s", err, out)
	}
	key := token(t) // the owner does
	if got := claviger.Verify(t, key); !got.Valid || got.Key.Workspace != workspace || got.Key.ServiceAccount != account {
		t.Errorf("its token is answered %+v", got)
	}
	if got := claviger.Verify(t, key, "workspace", namespace+"/other"); got.Code != "WORKSPACE_MISMATCH" {
		t.Errorf("in another organization it is answered %s", got.Code)
	}
	out, err = claviger.Try("", "patch", "ksa", account, "-n", namespace, "--as", owner, "--type=merge", "-p", `{"spec":{"workspaceRef":{"name":"other"}}}`)
	if err == nil || !strings.Contains(out, "cannot be changed") {
		t.Errorf("it moves to another organization: %v %s", err, out)
	}
}

// K2: its token is shown once and works for a year; a renewed one ends the one before at once.
func TestK2Renew(t *testing.T) {
	before := token(t)
	lives := func() {
		t.Helper()
		text := claviger.Kubectl(t, "get", "ksa", account, "-n", namespace, "-o", "jsonpath={.status.token.expiresAt}")
		end, err := time.Parse(time.RFC3339, text)
		if year := 365 * 24 * time.Hour; err != nil || time.Until(end) > year || time.Until(end) < year-time.Hour {
			t.Errorf("the token works until %s", text)
		}
	}
	lives()
	id := claviger.Verify(t, before).Key.ID

	for _, when := range []string{"once", "and once more"} {
		claviger.Kubectl(t, "annotate", "ksa", account, "-n", namespace, "--as", owner, "--overwrite", "keys.claviger.dev/regenerate="+when)
		stack.Eventually(t, func() string {
			if firstToken = open(t, account); firstToken == before {
				return "the token is the one before"
			}
			return ""
		})
		claviger.AwaitVerifier(t, firstToken)
		if got := claviger.Verify(t, firstToken); !got.Valid || got.Key.ID != id {
			t.Errorf("the renewed token is answered %+v", got)
		}
		claviger.AwaitCode(t, before, "KEY_INVALID")
		before = firstToken
		lives()
	}

	// Shown once: nothing in the namespace, and no Secret of the operator, has the plain text.
	for _, where := range [][2]string{{"apikeys,serviceaccounts.keys.claviger.dev,secrets,events", namespace}, {"secrets,configmaps", "claviger-system"}} {
		text := claviger.Kubectl(t, "get", where[0], "-n", where[1], "-o", "json")
		if strings.Contains(text, firstToken) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(firstToken))) {
			t.Errorf("the token is in namespace %s", where[1])
		}
	}
	if out, err := claviger.Try("", "get", "secret", account, "-n", namespace); err == nil {
		t.Errorf("there is a Secret of the token: %s", out)
	}
}

// K3: an account has one active token.
func TestK3OneTokenPerAccount(t *testing.T) {
	token(t)
	if got := claviger.Kubectl(t, "get", "ksa", account, "-n", namespace, "-o", "jsonpath={.spec.maxActiveKeys}"); got != "1" {
		t.Errorf("an account may have %s keys", got)
	}
	out, err := claviger.Try(fmt.Sprintf(ofAccount, "second", account, "reports:read", ""), "create", "-n", namespace, "--as", owner, "-f", "-")
	if err == nil || !strings.Contains(out, "maxActiveKeys") {
		t.Errorf("a second one: %v %s", err, out)
	}
	if got := claviger.Verify(t, token(t)); !got.Valid {
		t.Errorf("the first one is answered %s", got.Code)
	}
}

const ofAccount = `
apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata: {name: %s}
spec:
  workspaceRef: {name: acme}
  serviceAccountRef: {name: %s}
  scopes: [%q]
  grants: [%s]
`

// K6: the token travels as a bearer.
func TestK6Bearer(t *testing.T) {
	if answer := claviger.Auth(t, "", "Authorization", "Bearer "+token(t)); answer.Status != 200 || answer.Header.Get("X-Claviger-Workspace-Id") != workspace {
		t.Errorf("%d %s", answer.Status, answer.Body)
	}
	answer := claviger.Auth(t, "")
	if answer.Status != 401 || !strings.HasPrefix(answer.Header.Get("WWW-Authenticate"), "Bearer") {
		t.Errorf("without it: %d %v", answer.Status, answer.Header)
	}
}
