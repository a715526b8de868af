package disaster

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/test/stack"
)

const operatorNamespace = "claviger-system"

// loseHashes deletes all hashed Secrets, as the guide has it, and waits until keys are hashed again.
func loseHashes(t *testing.T, namespace string, names ...string) {
	t.Helper()
	claviger.Kubectl(t, "delete", "secrets", "-n", operatorNamespace, "-l", "keys.claviger.dev/secret=hashed")
	for _, name := range names {
		of := uid(t, namespace, name)
		stack.Eventually(t, func() string {
			if claviger.Kubectl(t, "get", "secrets", "-n", operatorNamespace, "-l", "keys.claviger.dev/api-key-uid="+of, "-o", "name") == "" {
				return name + " is not hashed again"
			}
			return ""
		})
	}
}

func TestKeysGoOnWhenAllHashesAreLostButSealedOnesAreSealedAnew(t *testing.T) {
	ns, identity := claviger.Namespace(t, "hashes-lost"), newIdentity(t)
	stated, held := rand.Text(), rand.Text()
	claviger.Kubectl(t, "create", "secret", "generic", "old-key", "-n", ns, "--from-literal=api-key="+held)
	claviger.Apply(t, ns, workspace+"---"+keyManifest("delivered", "  ttl: 24h")+
		"---"+keyManifest("fail", "  delivery: {onLoss: Fail}")+
		"---"+keyManifest("revoked", "")+
		"---"+keyManifest("stated", fmt.Sprintf("  ttl: 24h\n  source: {sha256: %x}", sha256.Sum256([]byte(stated))))+
		"---"+keyManifest("held", "  ttl: 24h\n  source: {secretRef: {name: old-key}}")+
		"---"+keyManifest("sealed", "  ttl: 24h\n"+sealedTo(identity))+
		"---"+keyManifest("sealed-until", "  expiresAt: 2030-01-01T00:00:00Z\n"+sealedTo(identity))+
		"---"+keyManifest("sealed-fail", strings.Replace(sealedTo(identity), "{", "{onLoss: Fail, ", 1)))
	claviger.AwaitKey(t, ns, "delivered", "fail", "revoked", "stated", "held", "sealed", "sealed-until", "sealed-fail")
	same := map[string]string{"stated": stated, "held": held,
		"delivered": claviger.Key(t, ns, "delivered"), "fail": claviger.Key(t, ns, "fail")}
	lost := map[string]string{}
	for _, name := range []string{"sealed", "sealed-until", "sealed-fail"} {
		lost[name] = unsealed(t, claviger, ns, name, identity)
		claviger.AwaitCode(t, lost[name], "VALID")
	}
	ends := map[string]string{}
	for _, name := range []string{"delivered", "stated", "held", "sealed", "sealed-until"} {
		ends[name] = status(t, claviger, ns, name, "expiresAt")
	}
	for _, key := range same {
		claviger.AwaitCode(t, key, "VALID")
	}
	revoked := claviger.Key(t, ns, "revoked")
	claviger.Kubectl(t, "patch", "apikey", "revoked", "-n", ns, "--type=merge", "-p", `{"spec":{"state":"Revoked"}}`)
	claviger.AwaitCode(t, revoked, "KEY_REVOKED")

	time.Sleep(1100 * time.Millisecond) // so that a life that began anew shows in seconds
	loseHashes(t, ns, "delivered", "fail", "stated", "held", "sealed", "sealed-until")
	for name, key := range same {
		claviger.AwaitCode(t, key, "VALID")
		if end := status(t, claviger, ns, name, "expiresAt"); end != ends[name] {
			t.Errorf("%s ended at %s, and now at %s", name, ends[name], end)
		}
	}
	for name, key := range lost {
		claviger.AwaitCode(t, key, "KEY_INVALID")
		if name == "sealed-fail" {
			awaitStatus(t, claviger, ns, name, readyReason, "SecretLost")
			continue
		}
		stack.Eventually(t, func() string {
			if unsealed(t, claviger, ns, name, identity) == key {
				return name + " is not sealed anew"
			}
			return ""
		})
		claviger.AwaitCode(t, unsealed(t, claviger, ns, name, identity), "VALID")
		anew := status(t, claviger, ns, name, "expiresAt") != ends[name]
		if wanted := name == "sealed"; anew != wanted {
			t.Errorf("that the life of %s began anew is %v", name, anew)
		}
	}
	claviger.AwaitCode(t, revoked, "KEY_INVALID") // nothing tells any more whose it was
	if state := status(t, claviger, ns, "revoked", "state"); state != "Revoked" {
		t.Errorf("the revoked key is %s", state)
	}
}

func TestAnOverlapIsOverWhenItsHashIsLost(t *testing.T) {
	ns := claviger.Namespace(t, "overlap-lost")
	claviger.Apply(t, ns, workspace+"---"+keyManifest("checkout", "  rotation: {overlap: 1h, keepPrevious: true}"))
	claviger.AwaitKey(t, ns, "checkout")
	before := claviger.Key(t, ns, "checkout")
	claviger.Kubectl(t, "annotate", "apikey", "checkout", "-n", ns, "keys.claviger.dev/regenerate=1")
	stack.Eventually(t, func() string {
		if claviger.Key(t, ns, "checkout") == before {
			return "the key is not rotated"
		}
		return ""
	})
	after := claviger.Key(t, ns, "checkout")
	claviger.AwaitCode(t, before, "VALID")
	awaitStatus(t, claviger, ns, "checkout", "keyGeneration", "2")

	loseHashes(t, ns, "checkout")
	claviger.AwaitCode(t, after, "VALID")
	claviger.AwaitCode(t, before, "KEY_INVALID")
	if claviger.Key(t, ns, "checkout") != after {
		t.Error("another key was made")
	}
}
