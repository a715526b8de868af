package main

import (
	"strings"
	"testing"
)

func TestTheVerifierRefusesFlagsThatMeanNothing(t *testing.T) {
	for _, flag := range []string{
		"--listen=", "--max-connections=0", "--max-connections-per-source=-1", "--max-in-flight=-1", "--shutdown-timeout=-1s",
		"--query-key=a b", "--query-key=a&b", "--query-key=a%62",
	} {
		cmd := verifierCommand()
		// Were the flag borne, a directory that is missing is what it fails for.
		cmd.SetArgs([]string{"--manifests=" + t.TempDir() + "/missing", "--check", flag})
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		name, _, _ := strings.Cut(flag, "=")
		if err := cmd.Execute(); err == nil || !strings.Contains(err.Error(), name+" ") {
			t.Errorf("%s: %v", flag, err)
		}
	}
}
