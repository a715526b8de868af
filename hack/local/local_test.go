package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestOverridesFlagsAndAddsThoseThatAreMissing(t *testing.T) {
	args := []string{"verifier", "--namespace=claviger-system", "--listen=:8080", "listen"}
	got := override(args, map[string]string{"listen": "127.0.0.1:1", "kubeconfig": "/k"})
	want := []string{"verifier", "--namespace=claviger-system", "--listen=127.0.0.1:1", "listen", "--kubeconfig=/k"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCallsTheWebhookByURL(t *testing.T) {
	configuration := &unstructured.Unstructured{Object: map[string]any{"webhooks": []any{map[string]any{
		"name":         "one",
		"clientConfig": map[string]any{"service": map[string]any{"name": "s", "path": "/validate"}},
	}}}}
	if err := callByURL(configuration, 9443); err != nil {
		t.Fatal(err)
	}
	webhooks, _, err := unstructured.NestedSlice(configuration.Object, "webhooks")
	if err != nil {
		t.Fatal(err)
	}
	got := webhooks[0].(map[string]any)["clientConfig"].(map[string]any)
	if len(got) != 1 || got["url"] != "https://localhost:9443/validate" {
		t.Errorf("got %v", got)
	}
	if err := callByURL(configuration, 9443); err == nil {
		t.Error("a configuration without a service was taken")
	}
}

func TestTheLockTellsWhoHoldsItAndWhetherTheyCrashed(t *testing.T) {
	dir := t.TempDir()
	first, err := takeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if first.leftByCrash {
		t.Error("nobody was there before")
	}
	if _, err := takeLock(dir); err == nil || !strings.Contains(err.Error(), "another one") {
		t.Errorf("a second one got %v", err)
	}
	// As the kernel does for one that is killed.
	if err := first.file.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := takeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !second.leftByCrash {
		t.Error("the crash was not noticed")
	}
	second.release()
	third, err := takeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer third.release()
	if third.leftByCrash {
		t.Error("a proper end was taken for a crash")
	}
}

func TestADirectoryOfSomebodyElsesIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "logs"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := takeLock(dir); err == nil || !strings.Contains(err.Error(), "--dir") {
		t.Errorf("got %v", err)
	}
}

func TestNoPortIsGivenTwice(t *testing.T) {
	opts := noDemands(t.TempDir())
	first, err := choosePorts(t.Context(), opts, false)
	if err != nil {
		t.Fatal(err)
	}
	// What one had in the last run, another demands.
	*opts.ports[verifierPort] = first[webhookPort]
	ports, err := choosePorts(t.Context(), opts, false)
	if err != nil {
		t.Fatal(err)
	}
	if ports[verifierPort] != first[webhookPort] || ports[webhookPort] == ports[verifierPort] {
		t.Errorf("the verifier got %d and the webhook %d", ports[verifierPort], ports[webhookPort])
	}
	*opts.ports[adminPort] = first[webhookPort]
	if _, err := choosePorts(t.Context(), opts, false); err == nil || !strings.Contains(err.Error(), "same") {
		t.Errorf("one port was demanded twice, and the answer was %v", err)
	}
}

func TestPortsStayTheSameWhileTheyAreFree(t *testing.T) {
	opts := noDemands(t.TempDir())
	first, err := choosePorts(t.Context(), opts, false)
	if err != nil {
		t.Fatal(err)
	}
	again, err := choosePorts(t.Context(), opts, false)
	if err != nil {
		t.Fatal(err)
	}
	for name := range portNames {
		if first[name] == 0 || first[name] != again[name] {
			t.Errorf("%s was %d and is %d", name, first[name], again[name])
		}
	}

	taken, err := net.Listen("tcp", loopback(first[verifierPort]))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	other, err := choosePorts(t.Context(), opts, false)
	if err != nil {
		t.Fatal(err)
	}
	if other[verifierPort] == first[verifierPort] {
		t.Error("a taken port was chosen")
	}

	*opts.ports[verifierPort] = first[verifierPort]
	if _, err := choosePorts(t.Context(), opts, false); err == nil || !strings.Contains(err.Error(), "--verifier-port") {
		t.Errorf("a taken port was demanded, and the answer was %v", err)
	}
}

func TestADamagedFileOfPortsIsReplaced(t *testing.T) {
	opts := noDemands(t.TempDir())
	if err := os.WriteFile(filepath.Join(opts.dir, "ports.json"), []byte(`{"api": 1`), 0o600); err != nil {
		t.Fatal(err)
	}
	ports, err := choosePorts(t.Context(), opts, false)
	if err != nil || len(ports) != len(portNames) {
		t.Errorf("got %v, error %v", ports, err)
	}
}

func noDemands(dir string) options {
	opts := options{dir: dir, ports: map[string]*int{}}
	for name := range portNames {
		opts.ports[name] = new(int)
	}
	return opts
}
