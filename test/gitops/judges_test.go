package gitops_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// What Argo CD calls the health of an object.
const (
	healthy     = "Healthy"
	progressing = "Progressing"
	degraded    = "Degraded"
	suspended   = "Suspended"
)

var kinds = []string{"Workspace", "ApiKey", "ServiceAccount", "KeyLimit"}

// verdict is what the three tools make of an object.
type verdict struct {
	kstatus, flux status.Status
	argo, message string
}

func judge(t *testing.T, object *unstructured.Unstructured) verdict {
	t.Helper()
	result, err := status.Compute(object)
	if err != nil {
		t.Fatal(err)
	}
	v := verdict{kstatus: result.Status, flux: flux(t, object)}
	v.argo, v.message = argo(t, object)
	return v
}

// argo runs the health check that is shipped for a kind, as Argo CD's util/lua does: with the libraries package, base and
// table, for a second at most.
func argo(t *testing.T, object *unstructured.Unstructured) (health, message string) {
	t.Helper()
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
	for name, open := range map[string]lua.LGFunction{lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		if err := l.CallByParam(lua.P{Fn: l.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	l.SetContext(ctx)
	l.SetGlobal("obj", luaValue(l, object.Object))
	if err := l.DoString(argoScripts(t)[object.GetKind()]); err != nil {
		t.Fatal(err)
	}
	table, ok := l.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("the health check returns a %s, and no table", l.Get(-1).Type())
	}
	return table.RawGetString("status").String(), table.RawGetString("message").String()
}

func luaValue(l *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case float64:
		return lua.LNumber(value)
	case int64:
		return lua.LNumber(value)
	case string:
		return lua.LString(value)
	case []any:
		list := l.NewTable()
		for _, item := range value {
			list.Append(luaValue(l, item))
		}
		return list
	case map[string]any:
		table := l.NewTable()
		for key, item := range value {
			table.RawSetString(key, luaValue(l, item))
		}
		return table
	}
	return lua.LNil
}

// argoScripts are the health checks that are shipped, by kind.
func argoScripts(t *testing.T) map[string]string {
	t.Helper()
	var cm struct {
		Data map[string]string `json:"data"`
	}
	readYAML(t, "argocd/argocd-cm.yaml", &cm)
	scripts := map[string]string{}
	for _, kind := range kinds {
		scripts[kind] = cm.Data["resource.customizations.health.keys.claviger.dev_"+kind]
	}
	if len(cm.Data) != len(kinds) {
		t.Fatalf("argocd-cm.yaml has %d settings, want one for each of %q", len(cm.Data), kinds)
	}
	return scripts
}

// healthCheck is an entry of spec.healthCheckExprs.
type healthCheck struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	InProgress string `json:"inProgress"`
	Failed     string `json:"failed"`
	Current    string `json:"current"`
}

// flux evaluates the shipped health check of a kind as Flux's runtime/cel does: first the generations, then inProgress,
// failed and current. Where an expression fails Flux knows nothing, and waits.
func flux(t *testing.T, object *unstructured.Unstructured) status.Status {
	t.Helper()
	observed, found, err := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
	if err != nil {
		t.Fatal(err)
	}
	if found && observed != object.GetGeneration() {
		return status.InProgressStatus
	}
	check := fluxChecks(t)[object.GetKind()]
	for _, of := range []struct {
		expression string
		status     status.Status
	}{{check.InProgress, status.InProgressStatus}, {check.Failed, status.FailedStatus}, {check.Current, status.CurrentStatus}} {
		is, err := evaluate(t, of.expression, object)
		if err != nil {
			return status.UnknownStatus
		}
		if is {
			return of.status
		}
	}
	return status.InProgressStatus
}

// evaluate has the options of Flux. The expression is parsed and not compiled, so a field that is missing shows
// only now.
func evaluate(t *testing.T, expression string, object *unstructured.Unstructured) (bool, error) {
	t.Helper()
	env, err := cel.NewEnv(cel.HomogeneousAggregateLiterals(), cel.EagerlyValidateDeclarations(true), cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true), cel.OptionalTypes(), ext.Strings(), ext.Sets(), ext.Encoders())
	if err != nil {
		t.Fatal(err)
	}
	parsed, issues := env.Parse(expression)
	if issues.Err() != nil {
		t.Fatalf("%s: %v", expression, issues.Err())
	}
	program, err := env.Program(parsed, cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		t.Fatal(err)
	}
	value, _, err := program.Eval(object.Object)
	if err != nil {
		return false, err
	}
	is, ok := value.Value().(bool)
	if !ok {
		return false, fmt.Errorf("%s is a %T", expression, value.Value())
	}
	return is, nil
}

func fluxChecks(t *testing.T) map[string]healthCheck {
	t.Helper()
	var kustomization struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Spec       struct {
			HealthCheckExprs []healthCheck `json:"healthCheckExprs"`
		} `json:"spec"`
	}
	readYAML(t, "flux/api-keys.yaml", &kustomization)
	if kustomization.APIVersion != "kustomize.toolkit.fluxcd.io/v1" || kustomization.Kind != "Kustomization" {
		t.Fatalf("the file holds a %s of %s", kustomization.Kind, kustomization.APIVersion)
	}
	checks := map[string]healthCheck{}
	for _, check := range kustomization.Spec.HealthCheckExprs {
		checks[check.Kind] = check
	}
	for _, kind := range kinds {
		if checks[kind].APIVersion != "keys.claviger.dev/v1alpha1" || len(checks) != len(kinds) {
			t.Fatalf("the health checks are %v", checks)
		}
	}
	return checks
}

func readShipped(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("../../config/gitops/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func readYAML(t *testing.T, name string, into any) {
	t.Helper()
	if err := yaml.Unmarshal(readShipped(t, name), into); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
