package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// workload is what a Deployment or StatefulSet of config/default says about its pods.
type workload struct {
	namespace, serviceAccount string
	args                      []string
}

// overrides is all in which operator and verifier differ from those in a cluster: where they
// listen, where they find each other and the API server, and where their files are. The
// addresses are this machine's only.
func overrides(opts options, ports map[string]int) map[string]map[string]string {
	certs := filepath.Join(opts.dir, "certs")
	values := map[string]map[string]string{
		operator: {
			"kubeconfig":           kubeconfigPath(opts, operator),
			"health-bind-address":  loopback(ports[healthPort]),
			"metrics-bind-address": loopback(ports[metricsPort]),
			"webhook-host":         "127.0.0.1",
			"webhook-port":         fmt.Sprint(ports[webhookPort]),
			"verifier-url":         fmt.Sprintf("https://localhost:%d", ports[adminPort]),
			"cert-dir":             certs,
			"verifier-token-file":  verifierTokenPath(opts),
		},
		verifier: {
			"kubeconfig":      kubeconfigPath(opts, verifier),
			"listen":          loopback(ports[verifierPort]),
			"extauthz-listen": loopback(ports[extauthzPort]),
			"admin-listen":    loopback(ports[adminPort]),
			"health-listen":   loopback(ports[probesPort]),
			"usage-db":        filepath.Join(opts.dir, "usage.db"),
			"snapshot-dir":    filepath.Join(opts.dir, "snapshot"),
			"cert-dir":        certs,
		},
	}
	if opts.usageURL != "" {
		values[verifier]["usage-url"] = opts.usageURL
	}
	if opts.logLevel != "" {
		values[operator]["log-level"], values[verifier]["log-level"] = opts.logLevel, opts.logLevel
	}
	return values
}

const (
	operator = "claviger-operator"
	verifier = "claviger-verifier"
)

func kubeconfigPath(opts options, name string) string {
	return filepath.Join(opts.dir, name+".kubeconfig")
}

// verifierTokenPath is where the operator's token for the verifier is, which a kubelet would
// mount.
func verifierTokenPath(opts options) string { return filepath.Join(opts.dir, "verifier-token") }

// findWorkload reads what a pod named by its workload would be started with.
func findWorkload(manifests []*unstructured.Unstructured, name string) (workload, error) {
	for _, object := range manifests {
		if object.GetName() != name || object.GetKind() != "Deployment" && object.GetKind() != "StatefulSet" {
			continue
		}
		account, _, err := unstructured.NestedString(object.Object, "spec", "template", "spec", "serviceAccountName")
		if err != nil {
			return workload{}, err
		}
		containers, _, err := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers")
		if err != nil || len(containers) != 1 {
			return workload{}, fmt.Errorf("%s has %d containers, and hack/local knows how to run one: %w", name, len(containers), err)
		}
		args, _, err := unstructured.NestedStringSlice(containers[0].(map[string]any), "args")
		if err != nil {
			return workload{}, err
		}
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "$(POD_NAMESPACE)", object.GetNamespace())
		}
		return workload{namespace: object.GetNamespace(), serviceAccount: account, args: args}, nil
	}
	return workload{}, fmt.Errorf("config/default has no workload named %s", name)
}

// override replaces the values of flags, and adds those that are not there.
func override(args []string, values map[string]string) []string {
	out := make([]string, 0, len(args)+len(values))
	seen := map[string]bool{}
	for _, arg := range args {
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		if value, ok := values[name]; ok && strings.HasPrefix(arg, "--") {
			arg, seen[name] = "--"+name+"="+value, true
		}
		out = append(out, arg)
	}
	for name, value := range values {
		if !seen[name] {
			out = append(out, "--"+name+"="+value)
		}
	}
	return out
}
