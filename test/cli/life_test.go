package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/token"
)

// key is what a command printed, if it is a key and nothing else.
func (r result) key(t *testing.T) string {
	t.Helper()
	text, ok := strings.CutSuffix(r.out, "\n")
	if _, err := token.Parse(text); !ok || err != nil {
		t.Fatalf("standard output is not a key alone: %d bytes, %v", len(r.out), err)
	}
	if strings.Contains(r.err, text) {
		t.Error("the key is on standard error, too")
	}
	return text
}

func TestAKeyIsMadeAndPrintedOnce(t *testing.T) {
	ns := newNamespace(t, "create")
	o := playOperator(t, ns)
	r := claviger(t, ns, "", "create", "checkout", "--workspace", "shop", "--scope", "orders:read", "--ttl", "2160h",
		"--display-name", "Checkout", "--environment", "live", "--label", "team=payments", "--entity", "Agent/a-1").want(t, 0, "printed to standard output, this once")
	if r.key(t) != o.last(t, "checkout") {
		t.Error("another key was printed than was made")
	}
	key := get(t, ns, "checkout")
	if d := key.Spec.Delivery; d.Type != v1alpha1.DeliverySealed || len(d.Recipients) != 1 || key.Labels["team"] != "payments" {
		t.Errorf("created %+v", key.Spec)
	}
	claviger(t, ns, "", "create", "checkout", "--workspace", "shop").want(t, 1, "already exists", "choose another name")
}

func TestAKeyForOthersIsNotPrinted(t *testing.T) {
	ns := newNamespace(t, "create-others")
	playOperator(t, ns)
	const recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
	if r := claviger(t, ns, "", "create", "sealed", "--workspace", "shop", "--recipient", recipient).want(t, 0, "age --decrypt", "-n create-others"); r.out != "" {
		t.Errorf("printed %q", r.out)
	}
	if r := claviger(t, ns, "", "create", "delivered", "--workspace", "shop", "--delivery", "secret").want(t, 0, "kubectl get secret delivered -n create-others"); r.out != "" {
		t.Errorf("printed %q", r.out)
	}
}

// What is printed by a dry run is what Git holds: it passes lint and the cluster, and nothing of it is changed by that.
func TestADryRunPrintsWhatToCommit(t *testing.T) {
	ns := newNamespace(t, "dry-run")
	args := []string{"create", "git", "--workspace", "shop", "--scope", "orders:read,orders:write", "--ttl", "2160h", "--rotate-every", "720h", "--overlap", "24h", "-o", "yaml"}
	r := claviger(t, ns, "", append(args, "--dry-run=client")...).want(t, 0)
	if strings.Contains(r.out, "status") || strings.Contains(r.out, "recipients") || !strings.Contains(r.out, "ttl: 2160h\n") {
		t.Errorf("printed\n%s", r.out)
	}
	file := filepath.Join(t.TempDir(), "git.yaml")
	if err := os.WriteFile(file, []byte(r.out), 0o600); err != nil {
		t.Fatal(err)
	}
	claviger(t, ns, "", "lint", file).want(t, 0, "No mistakes in 1 object.")
	if _, err := plane.RunKubectl(t.Context(), []byte(r.out), "apply", "-n", ns, "-f", "-"); err != nil {
		t.Error(err)
	}
	generation := get(t, ns, "git").Generation
	if out, err := plane.RunKubectl(t.Context(), []byte(r.out), "apply", "-n", ns, "-f", "-"); err != nil || !strings.Contains(string(out), "unchanged") || get(t, ns, "git").Generation != generation {
		t.Errorf("a second apply changed something: %s, %v", out, err)
	}
	claviger(t, ns, "", append(args, "--dry-run=server")...).want(t, 1, "already exists")
	claviger(t, ns, "", "create", "wrong", "--workspace", "shop", "--scope", "orders:drop", "--dry-run=server").want(t, 1, "is not in the catalogue")
}

func TestAKeyThatDoesNotComeSaysWhy(t *testing.T) {
	ns := newNamespace(t, "create-timeout")
	// Nobody plays the operator.
	r := claviger(t, ns, "", "create", "slow", "--workspace", "shop", "--timeout", "1s").want(t, 1, "not within 1s", "seems to be down", "doctor")
	if r.out != "" {
		t.Errorf("printed %q", r.out)
	}
	setStatus(t, ns, "slow", func(k *v1alpha1.ApiKey) {
		k.Status.ObservedGeneration = 1
		k.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "False", Reason: v1alpha1.ReasonTooManyKeys, Message: "there are 5 of 5.", LastTransitionTime: metav1.Now()}}
	})
	claviger(t, ns, "", "regenerate", "slow", "--new-identity", "--timeout", "1s").want(t, 1, "Ready=False (TooManyKeys: there are 5 of 5)", "--new-identity prints one")
}

func TestAnotherKeyIsMadeOnDemand(t *testing.T) {
	ns := newNamespace(t, "rotate")
	o := playOperator(t, ns)
	claviger(t, ns, "", "create", "sealed", "--workspace", "shop", "--overlap", "1h").want(t, 0)
	claviger(t, ns, "", "create", "plain", "--workspace", "shop", "--delivery", "secret").want(t, 0)
	o.last(t, "sealed")

	first := claviger(t, ns, "", "rotate", "sealed", "--new-identity").want(t, 0, "goes on working for 1h after").key(t)
	if first != o.last(t, "sealed") {
		t.Error("another key was printed than was made")
	}
	if second := claviger(t, ns, "", "regenerate", "sealed", "--new-identity").want(t, 0).key(t); second == first {
		t.Error("the same key was printed twice")
	}
	if got := get(t, ns, "sealed").Status.KeyGeneration; got != 3 {
		t.Errorf("there were %d keys, not 3", got)
	}
	claviger(t, ns, "", "rotate", "plain").want(t, 1, "has no rotation.overlap", "--yes")
	if r := claviger(t, ns, "", "rotate", "plain", "--yes").want(t, 0, "stops as soon as", "It is in Secret plain"); r.out != "" {
		t.Errorf("printed %q", r.out)
	}
	claviger(t, ns, "", "regenerate", "plain", "--new-identity").want(t, 1, "leave out --new-identity")
	claviger(t, ns, "", "regenerate", "plain", "--wait=false").want(t, 0, "Another key is asked for")
	claviger(t, ns, "", "rotate", "absent").want(t, 1, `there is no ApiKey "absent" in namespace rotate`)
}

func TestATokenIsRenewed(t *testing.T) {
	ns := newNamespace(t, "renew")
	o := playOperator(t, ns)
	mustCreate(t,
		&v1alpha1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "robot"}, Spec: v1alpha1.ServiceAccountSpec{
			WorkspaceRef: v1alpha1.LocalReference{Name: "shop"},
			Token:        &v1alpha1.AccountToken{Delivery: v1alpha1.Delivery{Type: v1alpha1.DeliverySealed, Recipients: []v1alpha1.Recipient{"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"}}},
		}},
		&v1alpha1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "bare"}, Spec: v1alpha1.ServiceAccountSpec{WorkspaceRef: v1alpha1.LocalReference{Name: "shop"}}},
	)
	claviger(t, ns, "", "renew", "robot").want(t, 1, "the token of ServiceAccount robot is not there")
	mustCreate(t, &v1alpha1.ApiKey{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "robot"}, Spec: v1alpha1.ApiKeySpec{
		WorkspaceRef: v1alpha1.LocalReference{Name: "shop"}, ServiceAccountRef: &v1alpha1.LocalReference{Name: "robot"},
		Delivery: v1alpha1.Delivery{Type: v1alpha1.DeliverySealed, Recipients: []v1alpha1.Recipient{"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"}},
	}})
	followAccount(t, ns, "robot")
	if got := claviger(t, ns, "", "renew", "robot", "--new-identity").want(t, 0, "stops as soon as").key(t); got != o.last(t, "robot") {
		t.Error("another token was printed than was made")
	}
	claviger(t, ns, "", "renew", "bare").want(t, 1, "has no spec.token")
	claviger(t, ns, "", "renew", "absent").want(t, 1, `there is no ServiceAccount of keys.claviger.dev "absent"`)
}

func TestAKeyIsRevoked(t *testing.T) {
	ns := newNamespace(t, "revoke")
	playOperator(t, ns)
	claviger(t, ns, "", "create", "old", "--workspace", "shop").want(t, 0)
	claviger(t, ns, "", "revoke", "old").want(t, 1, "--reason is missing")
	claviger(t, ns, "", "revoke", "old", "--reason", "the contract ended").want(t, 0, "ApiKey revoke/old is revoked.", "All 2 verifiers had heard of it after less than a second")
	key := get(t, ns, "old")
	if key.Spec.State != v1alpha1.KeyRevoked || key.Annotations[v1alpha1.AnnotationRevocationReason] != "the contract ended" {
		t.Errorf("state %s, reason %q", key.Spec.State, key.Annotations[v1alpha1.AnnotationRevocationReason])
	}
	claviger(t, ns, "", "rotate", "old").want(t, 1, "which is final")
	claviger(t, ns, "", "revoke", "absent", "--reason", "x").want(t, 1, `there is no ApiKey "absent" in namespace revoke`)
}

func TestARevocationThatIsNotSeenToSpreadIsTold(t *testing.T) {
	ns := newNamespace(t, "revoke-alone")
	claviger(t, ns, "", "create", "lonely", "--workspace", "shop", "--timeout", "1s").want(t, 1)
	claviger(t, ns, "", "revoke", "lonely", "--reason", "x", "--timeout", "1s").want(t, 1, "the key is revoked, and a verifier that follows the cluster refuses it", "within 1s the operator did not take it up")
	setStatus(t, ns, "lonely", func(k *v1alpha1.ApiKey) {
		asked := metav1.Now()
		k.Status.Revocation = &v1alpha1.Revocation{RequestedAt: &asked, Verifiers: 2}
	})
	claviger(t, ns, "", "revoke", "lonely", "--reason", "x", "--timeout", "1s").want(t, 1, "within 1s not all of them were heard of")
	if state := get(t, ns, "lonely").Spec.State; state != v1alpha1.KeyRevoked {
		t.Errorf("it is %s", state)
	}
	claviger(t, ns, "", "revoke", "lonely", "--reason", "x", "--wait=false").want(t, 0, "is revoked")
}

func TestAKeyThatIsDeletedMeanwhileIsNotWaitedFor(t *testing.T) {
	ns := newNamespace(t, "deleted")
	ended := make(chan result, 1)
	go func() { ended <- claviger(t, ns, "", "create", "short", "--workspace", "shop") }()
	if err := until(func() error {
		return admin.Delete(t.Context(), &v1alpha1.ApiKey{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "short"}})
	}); err != nil {
		t.Fatal(err)
	}
	r := <-ended
	r.want(t, 1, "deleted/short was deleted meanwhile")
}
