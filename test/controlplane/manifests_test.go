package controlplane_test

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"
)

// The API server checks each manifest as it would in a real cluster, and stores none.
func TestAcceptsTheManifests(t *testing.T) {
	// A dry run makes no namespace for the rest to be in.
	if out, err := plane.RunKubectl(t.Context(), nil, "apply", "--server-side", "-f", "config/manager/namespace.yaml"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, dir := range []string{"config/default", "config/samples"} {
		out, err := plane.RunKubectl(t.Context(), nil, "apply", "--server-side", "--dry-run=server", "--validate=strict", "-k", dir)
		if err != nil {
			t.Errorf("%s: %v", dir, err)
		}
		if !strings.Contains(string(out), "serverside-applied") {
			t.Errorf("%s holds nothing: %s", dir, out)
		}
	}
}

func TestTheCertManagerOverlayUsesCertManager(t *testing.T) {
	// Its kinds are not installed here, so it can only be rendered.
	rendered, err := plane.RunKubectl(t.Context(), nil, "kustomize", "config/overlays/cert-manager")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"--certs=external", "kind: Certificate", "cert-manager.io/inject-ca-from: claviger-system/claviger-certs"} {
		if !strings.Contains(string(rendered), want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(string(rendered), "kind: Secret\n") {
		t.Error("the empty Secret is still there, and cert-manager would have to share it")
	}
}

func TestTheOverlaysRender(t *testing.T) {
	for dir, wanted := range map[string][]string{
		"config/overlays/postgres": {"replicas: 2", "--usage-url=postgres://", "--usage-password-file=/var/run/secrets/claviger.dev/usage/password", "secretName: claviger-usage", "--usage-db=/var/lib/claviger/usage.db"},
		"config/monitoring":        {"kind: ServiceMonitor", "kind: PrometheusRule", "name: claviger-dashboard", `grafana_dashboard: "1"`},
	} {
		rendered, err := plane.RunKubectl(t.Context(), nil, "kustomize", dir)
		if err != nil {
			t.Errorf("%s: %v", dir, err)
		}
		for _, want := range wanted {
			if !strings.Contains(string(rendered), want) {
				t.Errorf("%s: %q is missing", dir, want)
			}
		}
	}
}

// The webhook is configured and nobody answers: as while the operator is down.
func TestStoppingNeverWaitsForTheWebhook(t *testing.T) {
	objects := `
apiVersion: keys.claviger.dev/v1alpha1
kind: Workspace
metadata: {name: kill}
spec: {displayName: before, scopes: [{name: read}], keys: {maxKeys: 7}}
---
apiVersion: keys.claviger.dev/v1alpha1
kind: ServiceAccount
metadata: {name: kill}
spec: {workspaceRef: {name: kill}}
---
apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata: {name: kill}
spec: {workspaceRef: {name: kill}, metadata: {a: b}}
`
	if _, err := plane.RunKubectl(t.Context(), []byte(objects), "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	if _, err := plane.RunKubectl(t.Context(), nil, "apply", "-f", "config/webhook/manifests.yaml"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := plane.RunKubectl(context.Background(), nil, "delete", "-f", "config/webhook/manifests.yaml"); err != nil {
			t.Error(err)
		}
	})
	patch := func(kind, patch string) error {
		_, err := plane.RunKubectl(t.Context(), nil, "patch", kind+".keys.claviger.dev", "kill", "--type=merge", "-p", patch)
		return err
	}
	// The API server takes a moment to learn of a webhook.
	for deadline := time.Now().Add(patience); patch("workspace", `{"metadata":{"labels":{"x":"`+rand.Text()+`"}}}`) == nil; {
		if time.Now().After(deadline) {
			t.Fatal("the webhook was never asked")
		}
	}
	tests := []struct {
		name, kind, patch string
		passes            bool
	}{
		{"renaming a workspace waits", "workspace", `{"spec":{"displayName":"after"}}`, false},
		{"suspending and renaming a workspace waits", "workspace", `{"spec":{"suspended":true,"displayName":"after"}}`, false},
		{"suspending and removing a field waits", "workspace", `{"spec":{"suspended":true,"displayName":null}}`, false},
		{"suspending a workspace passes", "workspace", `{"spec":{"suspended":true}}`, true},
		{"letting it work again waits", "workspace", `{"spec":{"suspended":false}}`, false},
		{"suspending a service account passes", "serviceaccount", `{"spec":{"suspended":true}}`, true},
		{"disabling and renaming a key waits", "apikey", `{"spec":{"state":"Disabled","displayName":"after"}}`, false},
		{"disabling a key passes", "apikey", `{"spec":{"state":"Disabled"}}`, true},
		{"letting a key work again waits", "apikey", `{"spec":{"state":"Active"}}`, false},
		{"revoking a key passes", "apikey", `{"spec":{"state":"Revoked"}}`, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := patch(test.kind, test.patch); (err == nil) != test.passes {
				t.Errorf("passes: %v, want %v: %v", err == nil, test.passes, err)
			}
		})
	}
}
