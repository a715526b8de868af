// Package monitoring holds config/monitoring to Prometheus' own tool, to the metrics that there are, and to the runbooks.
package monitoring

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/claviger-dev/claviger/test/controlplane"
)

var root = controlplane.RepositoryRoot()

// promtool runs it; without it the test is skipped, and fails in CI.
func promtool(t *testing.T, dir string, arguments ...string) {
	t.Helper()
	path := filepath.Join(os.Getenv("CLAVIGER_PROMETHEUS"), "promtool")
	if os.Getenv("CLAVIGER_PROMETHEUS") == "" {
		path, _ = exec.LookPath("promtool")
	}
	if _, err := os.Stat(path); err != nil {
		const missing = "This test needs Prometheus' promtool: run it with make test, which gets it, or set CLAVIGER_PROMETHEUS to the directory that holds it."
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	command := exec.Command(path, arguments...)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
}

type rule struct {
	Alert       string            `json:"alert,omitempty"`
	Record      string            `json:"record,omitempty"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type groups struct {
	Groups []struct {
		Name  string `json:"name"`
		Rules []rule `json:"rules"`
	} `json:"groups"`
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func alerts(t *testing.T) groups {
	t.Helper()
	var object struct {
		Spec groups `json:"spec"`
	}
	if err := yaml.UnmarshalStrict(regexp.MustCompile(`(?s)^.*?\nspec:`).ReplaceAll(read(t, "config/monitoring/rules.yaml"), []byte("spec:")), &object); err != nil {
		t.Fatal(err)
	}
	if len(object.Spec.Groups) != 1 || len(object.Spec.Groups[0].Rules) == 0 {
		t.Fatal("there are no rules")
	}
	return object.Spec
}

// write writes rules as Prometheus reads them.
func write(t *testing.T, dir string, rules groups) {
	t.Helper()
	text, err := yaml.Marshal(rules)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "rules.yaml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestEachAlertFiresAndIsQuiet(t *testing.T) {
	dir, rules := t.TempDir(), alerts(t)
	write(t, dir, rules)
	tests := read(t, "test/monitoring/testdata/alerts_test.yaml")
	if err := os.WriteFile(filepath.Join(dir, "tests.yaml"), tests, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, r := range rules.Groups[0].Rules {
		for _, name := range []string{r.Alert + " fires", r.Alert + " is quiet"} {
			if !strings.Contains(string(tests), "- name: '"+name+"'") {
				t.Errorf("there is no test that %s", name)
			}
		}
	}
	promtool(t, dir, "check", "rules", "rules.yaml")
	promtool(t, dir, "test", "rules", "tests.yaml")
}

func TestEachAlertHasARunbookAndEachRunbookAnAlert(t *testing.T) {
	var named []string
	for _, r := range alerts(t).Groups[0].Rules {
		named = append(named, r.Alert+".md")
		if !slices.Contains([]string{"info", "warning", "critical"}, r.Labels["severity"]) || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s is told without a severity, a summary or a description", r.Alert)
		}
		if !strings.HasSuffix(r.Annotations["runbook_url"], "/docs/runbooks/"+r.Alert+".md") {
			t.Errorf("%s has the runbook %s", r.Alert, r.Annotations["runbook_url"])
		}
		if _, err := os.Stat(filepath.Join(root, "docs/runbooks", r.Alert+".md")); err != nil {
			t.Error(err)
		}
	}
	files, err := os.ReadDir(filepath.Join(root, "docs/runbooks"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name := file.Name(); name != "README.md" && !slices.Contains(named, name) {
			t.Errorf("docs/runbooks/%s is of no alert", name)
		}
	}
}

// expressions are all of the dashboard, with what Grafana puts in place of its variables.
func expressions(t *testing.T) (all []string) {
	t.Helper()
	var dashboard struct {
		UID, Title string
		Panels     []struct {
			ID      int
			Title   string
			GridPos struct{ H, W, X, Y int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(read(t, "config/monitoring/dashboard.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	seen := map[[2]int]string{}
	for _, p := range dashboard.Panels {
		if p.Title == "" || len(p.Targets) == 0 || p.GridPos.W+p.GridPos.X > 24 {
			t.Errorf("panel %d is not whole: %+v", p.ID, p)
		}
		if other, ok := seen[[2]int{p.GridPos.X, p.GridPos.Y}]; ok {
			t.Errorf("%q and %q are at one place", other, p.Title)
		}
		seen[[2]int{p.GridPos.X, p.GridPos.Y}] = p.Title
		for _, target := range p.Targets {
			all = append(all, strings.ReplaceAll(target.Expr, "$__rate_interval", "5m"))
		}
	}
	if dashboard.UID == "" || len(all) < 10 {
		t.Errorf("the dashboard %q has %d expressions", dashboard.Title, len(all))
	}
	return all
}

func TestTheDashboardsExpressionsAreUnderstood(t *testing.T) {
	var rules groups
	if err := yaml.Unmarshal([]byte("groups: [{name: dashboard}]"), &rules); err != nil {
		t.Fatal(err)
	}
	for i, expression := range expressions(t) {
		rules.Groups[0].Rules = append(rules.Groups[0].Rules, rule{Record: "panel:" + string(rune('a'+i/26)) + string(rune('a'+i%26)), Expr: expression})
	}
	dir := t.TempDir()
	write(t, dir, rules)
	promtool(t, dir, "check", "rules", "rules.yaml")
}

// metric is a name of ours in a text.
var metric = regexp.MustCompile(`\bclaviger_[a-z_]+`)

func TestAlertsAndDashboardSpeakOfMetricsThatThereAre(t *testing.T) {
	there := map[string]bool{}
	for _, dir := range []string{"controllers", "internal", "verifier", "webhook"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, name := range regexp.MustCompile(`"claviger_[a-z_]+"`).FindAllString(string(text), -1) {
				there[strings.Trim(name, `"`)] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	asked := expressions(t)
	for _, r := range alerts(t).Groups[0].Rules {
		asked = append(asked, r.Expr)
	}
	for _, expression := range asked {
		for _, name := range metric.FindAllString(expression, -1) {
			if !there[strings.TrimSuffix(name, "_bucket")] {
				t.Errorf("nothing is called %s, of which %s speaks", name, expression)
			}
		}
	}
	documented := string(read(t, "docs/monitoring.md"))
	for name := range there {
		if !strings.Contains(documented, "`"+name) {
			t.Errorf("%s is not in docs/monitoring.md", name)
		}
	}
}
