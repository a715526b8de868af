package crdschema_test

import (
	"context"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/claviger-dev/claviger/internal/crdschema"
)

func TestTheSchemasJudgeAsAnAPIServerDoes(t *testing.T) {
	const key = "spec: {workspaceRef: {name: shop}"
	tests := map[string]struct{ kind, object, want string }{
		"valid":                  {"ApiKey", key + "}", ""},
		"a field nobody knows":   {"ApiKey", key + ", scope: [a]}", "spec.scope: Forbidden: there is no such field"},
		"a missing field":        {"ApiKey", "spec: {}", "spec.workspaceRef: Required value"},
		"a wrong type":           {"ApiKey", key + ", displayName: 1}", "spec.displayName: Invalid value"},
		"a value not among many": {"ApiKey", key + ", state: Gone}", `spec.state: Unsupported value: "Gone"`},
		"a duplicate":            {"ApiKey", key + `, scopes: [a, a]}`, `spec.scopes[1]: Duplicate value: "a"`},
		"a rule about two":       {"ApiKey", key + `, ttl: 1h, expiresAt: "2027-01-01T00:00:00Z"}`, "set expiresAt or ttl, not both"},
		"a rule about one":       {"ApiKey", key + ", ttl: 1w}", "spec.ttl: Invalid value"},
		"in a list":              {"KeyLimit", "spec: {rates: [{requests: 0, per: 1m}]}", "spec.rates[0].requests: Invalid value"},
		"nothing at all":         {"KeyLimit", "{}", "spec: Required value"},
		"all that is optional":   {"Workspace", "{}", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			errs := schema(t, test.kind).Admit(context.Background(), decode(t, test.kind, test.object))
			if test.want == "" && len(errs) > 0 {
				t.Errorf("refused: %v", errs)
			}
			if test.want != "" && (len(errs) == 0 || !strings.Contains(errs[0].Error(), test.want)) {
				t.Errorf("got %v, want %q", errs, test.want)
			}
		})
	}
}

func TestDefaultsAreFilledIn(t *testing.T) {
	object := decode(t, "ApiKey", "spec: {workspaceRef: {name: shop}}")
	if errs := schema(t, "ApiKey").Admit(context.Background(), object); len(errs) > 0 {
		t.Fatal(errs)
	}
	spec := object["spec"].(map[string]any)
	if spec["environment"] != "live" || spec["state"] != "Active" {
		t.Errorf("got %v", spec)
	}
}

func schema(t *testing.T, kind string) *crdschema.Schema {
	t.Helper()
	schemas, err := crdschema.Load()
	if err != nil {
		t.Fatal(err)
	}
	if schemas[kind] == nil {
		t.Fatalf("there is no schema of %s", kind)
	}
	return schemas[kind]
}

func decode(t *testing.T, kind, text string) map[string]any {
	t.Helper()
	object := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	object["apiVersion"], object["kind"] = "keys.claviger.dev/v1alpha1", kind
	return object
}
