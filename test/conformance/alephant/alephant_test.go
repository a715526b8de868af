// Package alephant shows that Claviger can stand in for Alephant's workspaces and virtual keys: one test
// for each row of its table that holds by now.
package alephant

import (
	_ "embed"
	"os"
	"testing"

	"github.com/claviger-dev/claviger/test/stack"
)

const namespace = "alephant"

//go:embed manifests/workspace.yaml
var manifests string

var claviger *stack.Stack

func TestMain(m *testing.M) {
	os.Exit(stack.Run(m, func(s *stack.Stack) { claviger = s }))
}

// P10: a department has a budget, which all of its keys spend together.
func TestP10BudgetsPerDepartment(t *testing.T) {
	claviger.Namespace(t, namespace)
	claviger.Apply(t, namespace, manifests)
	keys := map[string]string{}
	for _, name := range []string{"summarizer", "ada", "bob"} {
		claviger.AwaitKey(t, namespace, name)
		keys[name] = claviger.Key(t, namespace, name)
		claviger.AwaitVerifier(t, keys[name])
	}

	// Two keys of research spend its budget: one says before what it will cost, the other afterwards.
	before := claviger.Verify(t, keys["ada"], "cost", map[string]any{"spendMicrocents": 6000})
	if !before.Valid || len(before.Limits) != 1 || before.Limits[0].Remaining != 4000 {
		t.Fatalf("the first: %+v", before)
	}
	crossing := claviger.Verify(t, keys["summarizer"])
	if !crossing.Valid {
		t.Fatalf("while something is left: %+v", crossing)
	}
	claviger.Report(t, crossing, 9000)
	for _, name := range []string{"ada", "summarizer"} {
		if got := claviger.Verify(t, keys[name]); got.Code != "BUDGET_EXHAUSTED" || got.Status != 429 {
			t.Errorf("%s, once the department's budget is spent: %+v", name, got)
		}
	}
	// The other department's is its own.
	if got := claviger.Verify(t, keys["bob"]); !got.Valid || got.Limits[0].Remaining != 10000 {
		t.Errorf("the other department: %+v", got)
	}

	// Who ran out can be seen on the resources.
	stack.Eventually(t, func() string {
		if got := claviger.Kubectl(t, "get", "kl", "research-budget", "-n", namespace, "-o", "jsonpath={.status.attachedKeys} {.status.usage.exhaustedKeys}"); got != "2 2" {
			return "the limit tells of " + got + " keys attached and exhausted"
		}
		return ""
	})
	stack.Eventually(t, func() string {
		if got := claviger.Kubectl(t, "get", "ak", "ada", "-n", namespace, "-o", "jsonpath={.status.usage.exhausted.limit} {.status.usage.exhausted.reason}"); got != "research-budget BudgetExhausted" {
			return "the key tells of " + got
		}
		return ""
	})

	// Who gives more lets them go on, with what was spent.
	claviger.Kubectl(t, "patch", "kl", "research-budget", "-n", namespace, "--type=merge", "-p", `{"spec":{"quota":{"spendMicrocents":20000}}}`)
	if got := claviger.AwaitCode(t, keys["ada"], "VALID"); got.Limits[0].Remaining != 5000 {
		t.Errorf("of 20000, 15000 are spent, and left are %+v", got.Limits)
	}
}
