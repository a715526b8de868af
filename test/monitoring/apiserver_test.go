package monitoring

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/test/controlplane"
)

// patience is how long to wait for what must happen, on a busy machine.
const patience = time.Minute

// rejection is a series of the API server's metric of what webhooks refused, or failed to answer.
var rejection = regexp.MustCompile(`(?m)^apiserver_admission_webhook_rejection_count\{.*keys\.claviger\.dev.*\}`)

// The names of its metrics, and of the labels of these, are the API server's to change: what it tells while nobody answers the
// webhook is what the alert has to fire for.
func TestTheAlertOfTheWebhookFiresForWhatTheAPIServerTells(t *testing.T) {
	dir, rules := t.TempDir(), alerts(t)
	write(t, dir, rules)
	test := `
rule_files: [rules.yaml]
evaluation_interval: 1m
tests:
- interval: 1m
  input_series:
  - {series: '` + unanswered(t) + `', values: '0+1x30'}
  promql_expr_test:
  - expr: count(ALERTS{alertname="ClavigerWebhookErrors", alertstate="firing"})
    eval_time: 17m
    exp_samples: [{value: 1}]
`
	if err := os.WriteFile(filepath.Join(dir, "tests.yaml"), []byte(test), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, dir, "test", "rules", "tests.yaml")
}

// unanswered is the series that a real API server has after it was asked for a Workspace, and nobody answered the webhook.
func unanswered(t *testing.T) string {
	t.Helper()
	plane, err := controlplane.Start(controlplane.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := plane.InstallCRDs(); err != nil {
		t.Fatal(err)
	}
	if _, err := plane.RunKubectl(t.Context(), nil, "apply", "-f", filepath.Join(root, "config/webhook/manifests.yaml")); err != nil {
		t.Fatal(err)
	}
	const workspace = `{"apiVersion": "keys.claviger.dev/v1alpha1", "kind": "Workspace", "metadata": {"generateName": "w-"}, "spec": {"displayName": "W"}}`
	var last string
	// The API server takes a moment to learn of a webhook.
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		out, err := plane.RunKubectl(t.Context(), []byte(workspace), "create", "-f", "-")
		if last = string(out); err == nil {
			continue
		}
		told, err := plane.RunKubectl(t.Context(), nil, "get", "--raw", "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		if series := rejection.FindString(string(told)); series != "" {
			return series
		}
	}
	t.Fatalf("the API server told of no webhook that does not answer; the last that was asked of it: %s", strings.TrimSpace(last))
	return ""
}
