package e2e

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/claviger-dev/claviger/test/stack"
)

// forms are the ways in which a key or its hash might show itself.
func forms(key string) map[string]string {
	sum := sha256.Sum256([]byte(key))
	shown := map[string]string{
		"the key":                  key,
		"the key in base64":        strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(key)), "="),
		"the hash in hex":          hex.EncodeToString(sum[:]),
		"half of the hash in hex":  hex.EncodeToString(sum[:16]),
		"the hash in base64":       strings.TrimRight(base64.StdEncoding.EncodeToString(sum[:]), "="),
		"the hash in base64 (URL)": strings.TrimRight(base64.URLEncoding.EncodeToString(sum[:]), "="),
		"the hash in bytes":        string(sum[:]),
	}
	// Any eight characters of it: a dump breaks its lines anywhere.
	body := key[strings.LastIndexByte(key, '_')+1:]
	for i := range len(body) - 7 {
		shown[fmt.Sprintf("the key from character %d on", i)] = body[i : i+8]
	}
	return shown
}

// A key is put wherever a confused client might put it, and used in every way; afterwards
// neither it nor its hash may be found in anything that people read.
func TestNoKeyOrHashIsEverShown(t *testing.T) {
	ns := claviger.Namespace(t, "canary")
	keys := issueKeys(t, ns, shop+apiKey("canary", "shop", "limitRefs: [{name: three}]")+apiKey("lost", "shop", "")+apiKey("altered", "shop", ""), "canary", "lost", "altered")
	key := keys["canary"]

	answers := misuse(t, key)
	claviger.Kubectl(t, "delete", "secret", "lost", "-n", ns)
	claviger.AwaitCode(t, keys["lost"], "KEY_INVALID")
	claviger.AwaitKey(t, ns, "lost")
	keys["lost, then renewed"] = claviger.Key(t, ns, "lost")
	claviger.Kubectl(t, "patch", "secret", "altered", "-n", ns, "--type=merge", "-p",
		`{"data":{"api-key":"`+base64.StdEncoding.EncodeToString([]byte(key))+`"}}`)
	awaitReason(t, ns, "altered", "SecretAltered")
	renewed(t, ns, keys)
	patch(t, ns, "apikey", "canary", `{"state":"Revoked"}`)
	claviger.AwaitCode(t, key, "KEY_REVOKED")
	// A key where none belongs: in a field that the webhook refuses, quoting what it was given.
	refusal, err := claviger.Try(apiKey("pasted", "shop", "prefix: "+key), "apply", "-n", ns, "-f", "-")
	if err == nil {
		t.Error("a key was taken for a prefix")
	}
	_ = refusal // the person who pasted it sees it again: what is refused is stored and logged nowhere

	logs, err := claviger.Logs()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(logs, "\n") {
		t.Fatal("there are no logs to search")
	}
	metrics := claviger.VerifierMetrics(t)
	if !strings.Contains(metrics, "claviger_decisions_total") {
		t.Fatalf("there are no metrics to search:\n%s", metrics)
	}
	places := map[string]string{
		"the logs":      logs,
		"the metrics":   metrics,
		"the events":    claviger.Kubectl(t, "get", "events", "-A", "-o", "yaml"),
		"the resources": claviger.Kubectl(t, "get", "keys", "-A", "-o", "yaml"),
		"the answers":   answers,
	}
	for name, key := range keys {
		for form, text := range forms(key) {
			for place, content := range places {
				if at := bytes.Index([]byte(content), []byte(text)); at >= 0 {
					t.Errorf("%s of %s shows in %s", form, name, place)
				}
			}
		}
	}
}

// renewed adds keys that were rotated, sealed and brought along.
func renewed(t *testing.T, ns string, keys map[string]string) {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	foreign := rand.Text()
	claviger.Kubectl(t, "create", "secret", "generic", "elsewhere", "-n", ns, "--from-literal=token="+foreign)
	claviger.Apply(t, ns, apiKey("rotated", "shop", "rotation: {overlap: 10m, keepPrevious: true}")+
		apiKey("sealed", "shop", "delivery: {type: Sealed, recipients: ["+identity.Recipient().String()+"]}")+
		apiKey("brought", "shop", "source: {secretRef: {name: elsewhere, key: token}}"))
	claviger.AwaitKey(t, ns, "rotated", "sealed", "brought")
	keys["replaced"], keys["brought along"] = claviger.Key(t, ns, "rotated"), foreign

	claviger.Kubectl(t, "annotate", "apikey", "rotated", "-n", ns, "keys.claviger.dev/regenerate=1")
	stack.Eventually(t, func() string {
		if keys["rotated"] = claviger.Key(t, ns, "rotated"); keys["rotated"] == keys["replaced"] {
			return "the key is not rotated"
		}
		return ""
	})
	ciphertext := claviger.Kubectl(t, "get", "apikey", "sealed", "-n", ns, "-o", "jsonpath={.status.sealed.ciphertext}")
	plain, err := age.Decrypt(armor.NewReader(strings.NewReader(ciphertext)), identity)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	keys["sealed"] = string(text)
	for _, name := range []string{"replaced", "rotated", "sealed", "brought along"} {
		claviger.AwaitCode(t, keys[name], "VALID")
	}
}

// misuse sends a key to every door in every place and returns all answers, headers too.
func misuse(t *testing.T, key string) string {
	t.Helper()
	var all strings.Builder
	send := func(method, path, body string, headers ...string) {
		answer := claviger.Do(t, method, path, body, headers...)
		all.WriteString(answer.Body)
		answer.Header.Write(&all) //nolint:errcheck // a strings.Builder does not fail
	}
	question := `{"key":"` + key + `"}`
	send("POST", "/v1/verify", question)
	send("POST", "/v1/verify", question[:len(question)-1])
	send("POST", "/v1/verify", `{"key":["`+key+`"]}`)
	send("POST", "/v1/verify", `{"key":"`+key+`x"}`)
	send("POST", "/v1/verify", `{"key":"x","workspace":"`+key+`"}`)
	send("POST", "/v1/verify", key)
	send("GET", "/v1/auth?scope=orders:delete", "", "X-API-Key", key)
	send("GET", "/v1/auth", "", "X-API-Key", key, "X-Workspace-Id", "no/where")
	send("GET", "/v1/auth", "", "X-API-Key", key, "Authorization", "Bearer x"+key)
	send("GET", "/v1/auth", "", "Authorization", key)
	send("GET", "/v1/auth", "", "Authorization", "Digest "+key)
	send("GET", "/v1/auth", "", "X-Request-Id", key, "X-API-Key", key)
	send("GET", "/v1/auth", "", "X-Workspace-Id", key)
	send("GET", "/v1/auth", "", "X-Forwarded-For", key, "X-API-Key", key)
	send("GET", "/v1/auth?api_key="+url.QueryEscape(key), "")
	send("GET", "/v1/auth?"+url.QueryEscape(key)+"=1", "")
	for range 5 { // the limit is three
		send("GET", "/v1/auth", "", "X-API-Key", key)
	}
	return all.String()
}
