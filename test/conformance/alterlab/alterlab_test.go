// Package alterlab shows that Claviger can stand in for AlterLab's keys API: one test for each row of
// its table.
package alterlab

import (
	_ "embed"
	"os"
	"strings"
	"testing"

	"github.com/claviger-dev/claviger/test/stack"
)

const namespace = "alterlab"

//go:embed manifests/key.yaml
var manifests string

var claviger *stack.Stack

func TestMain(m *testing.M) {
	os.Exit(stack.Run(m, func(s *stack.Stack) { claviger = s }))
}

var isThere bool

// issue applies the manifests, which brings back a limit that a test has deleted, and reads the key out of its Secret.
func issue(t *testing.T) string {
	t.Helper()
	if !isThere {
		claviger.Kubectl(t, "create", "namespace", namespace)
		isThere = true
	}
	claviger.Apply(t, namespace, manifests)
	claviger.AwaitKey(t, namespace, "scraper")
	key := claviger.Key(t, namespace, "scraper")
	claviger.AwaitVerifier(t, key)
	return key
}

// A3: limits per key can be read, set and deleted: a number of requests, a budget in microcents, the period after which
// they reset (monthly unless said otherwise), and whether they hold.
func TestA3LimitsOfAKey(t *testing.T) {
	key := issue(t)
	limit := func(jsonpath string) string {
		t.Helper()
		return claviger.Kubectl(t, "get", "keylimit", "scraper", "-n", namespace, "-o", "jsonpath="+jsonpath)
	}
	patch := func(spec string) {
		t.Helper()
		claviger.Kubectl(t, "patch", "keylimit", "scraper", "-n", namespace, "--type=merge", "-p", `{"spec":`+spec+`}`)
	}

	// Get.
	if got := limit("{.spec.quota.requests} {.spec.quota.spendMicrocents} {.spec.quota.resetPeriod} {.spec.enabled}"); got != "100000 500000000 Monthly true" {
		t.Errorf("the limits read %q", got)
	}
	decision := claviger.Verify(t, key)
	if len(decision.Limits) != 2 || decision.Limits[0].Limit != 100000 || decision.Limits[0].Remaining != 99999 || decision.Limits[1].Limit != 500000000 {
		t.Errorf("a decision tells of %+v", decision.Limits)
	}

	// Set: three requests a day, of which one was made already.
	patch(`{"quota":{"requests":3,"spendMicrocents":null,"resetPeriod":"Daily"}}`)
	awaitLimit(t, key, 3)
	for range 2 {
		if got := claviger.Verify(t, key); !got.Valid {
			t.Fatalf("within the limit: %+v", got)
		}
	}
	answer := claviger.Auth(t, "", "X-API-Key", key)
	if answer.Status != 429 || !strings.Contains(answer.Body, `"QUOTA_EXHAUSTED"`) || answer.Header.Get("Retry-After") == "" {
		t.Errorf("above the limit: %d %s", answer.Status, answer.Body)
	}

	// Not enabled it holds nobody back, and enabled again it goes on with what was used.
	patch(`{"enabled":false}`)
	claviger.AwaitCode(t, key, "VALID")
	patch(`{"enabled":true}`)
	claviger.AwaitCode(t, key, "QUOTA_EXHAUSTED")

	// A budget, by the week. What a request cost is reported afterwards; the one that crosses has passed.
	patch(`{"quota":{"requests":null,"spendMicrocents":1000,"resetPeriod":"Weekly"}}`)
	awaitLimit(t, key, 1000)
	crossing := claviger.Verify(t, key)
	if !crossing.Valid {
		t.Fatalf("within the budget: %+v", crossing)
	}
	claviger.Report(t, crossing, 1500)
	if got := claviger.Verify(t, key); got.Code != "BUDGET_EXHAUSTED" || got.Status != 429 {
		t.Errorf("above the budget: %+v", got)
	}

	// Delete.
	claviger.Kubectl(t, "delete", "keylimit", "scraper", "-n", namespace)
	if got := claviger.AwaitCode(t, key, "VALID"); len(got.Limits) > 0 {
		t.Errorf("without limits: %+v", got.Limits)
	}
}

// awaitLimit waits until a change of the limit has reached the verifier, and takes nothing for it.
func awaitLimit(t *testing.T, key string, limit int64) {
	t.Helper()
	stack.Eventually(t, func() string {
		limits := claviger.Scope(t, key)
		if len(limits) != 1 || limits[0].Limit != limit {
			return "the verifier does not know the limit yet"
		}
		return ""
	})
}
