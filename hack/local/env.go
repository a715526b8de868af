package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/claviger-dev/claviger/test/controlplane"
)

// writeEnv writes a file for shells to source.
func (s *session) writeEnv() error {
	var text strings.Builder
	for _, variable := range [][2]string{
		{"KUBECONFIG", s.plane.Kubeconfig()},
		{"KUBECTL", s.plane.Kubectl()},
		{"VERIFIER_URL", "http://" + loopback(s.ports[verifierPort])},
		{"VERIFIER_EXTAUTHZ", loopback(s.ports[extauthzPort])},
		{"VERIFIER_ADMIN_URL", fmt.Sprintf("https://localhost:%d", s.ports[adminPort])},
		{"VERIFIER_CA", filepath.Join(s.dir, "certs", "ca.crt")},
	} {
		fmt.Fprintf(&text, "export %s='%s'\n", variable[0], strings.ReplaceAll(variable[1], "'", `'\''`))
	}
	return os.WriteFile(filepath.Join(s.dir, "env"), []byte(text.String()), 0o600)
}

const samplesToTry = `
$KUBECTL get apikeys
KEY=$($KUBECTL get secret checkout -o jsonpath='{.data.api-key}' | base64 -d)
curl -s $VERIFIER_URL/v1/verify -d '{"key":"'$KEY'","scopes":{"allOf":["orders:read"]}}'; echo
curl -si $VERIFIER_URL/v1/auth -H "X-API-Key: $KEY"

# Revoke it, and ask again:
$KUBECTL patch apikey checkout --type=merge -p '{"spec":{"state":"Revoked"}}'
curl -si $VERIFIER_URL/v1/auth -H "X-API-Key: $KEY"; echo

# What was asked is counted, and shown within a minute and a half:
$KUBECTL get apikeys

# A new key in its place:
$KUBECTL delete apikey checkout && $KUBECTL apply -k config/samples`

// printWhatToTry prints commands that work when they are pasted into a shell in the
// repository's root.
func (s *session) printWhatToTry() {
	commands := ". " + relative(filepath.Join(s.dir, "env"))
	if s.samples {
		commands += samplesToTry
	} else {
		commands += "\n$KUBECTL get keys --all-namespaces"
	}
	fmt.Printf("\nTry it, in another shell:\n\n%s\n\nThe logs are in %s. Ctrl-C stops everything; the keys are kept for the next time.\n\n",
		indent(commands), relative(s.logDir))
}

func indent(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = "  " + line
		}
	}
	return strings.Join(lines, "\n")
}

// relative is shorter to read and to type, where it holds.
func relative(path string) string {
	short, err := filepath.Rel(controlplane.RepositoryRoot(), path)
	if err != nil || strings.HasPrefix(short, "..") {
		return path
	}
	return short
}
