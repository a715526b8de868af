package main

import (
	"bytes"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/token"
)

func TestAKeyForAnApiKeysOwnSpec(t *testing.T) {
	var printed, key bytes.Buffer
	cmd := keyCommand()
	cmd.SetArgs([]string{"mine", "--source"})
	cmd.SetOut(&printed)
	cmd.SetErr(&key)
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	made, err := token.Parse(strings.TrimSpace(key.String()))
	if err != nil {
		t.Fatal(err)
	}
	var spec v1alpha1.ApiKeySpec
	if err := yaml.UnmarshalStrict(printed.Bytes(), &spec); err != nil {
		t.Fatal(err)
	}
	if spec.Source == nil || spec.Source.Hint != made.Hint() || len(spec.Source.SHA256) != 64 || strings.Contains(printed.String(), made.Reveal()) {
		t.Errorf("printed %s", printed.String())
	}
}
