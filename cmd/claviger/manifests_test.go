package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is for what other processes have to do first.
const patience = time.Minute

// asClaviger makes this test's program be claviger.
const asClaviger = "CLAVIGER_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asClaviger) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func claviger(args ...string) *exec.Cmd {
	command := exec.Command(os.Args[0], args...)
	// No cluster is to be found, even by accident.
	command.Env = append(os.Environ(), asClaviger+"=1", "KUBECONFIG=/nowhere", "HOME=/nowhere", "KUBERNETES_SERVICE_HOST=")
	return command
}

// The demo key of examples/edge.
const demoKey = "ak_test_PublishedDemoKeyDoNotUseIt07q7PL"

func TestAVerifierWithoutACluster(t *testing.T) {
	directory := t.TempDir()
	if err := os.CopyFS(directory, os.DirFS("../../examples/edge")); err != nil {
		t.Fatal(err)
	}
	url, stop := startVerifier(t, "--manifests", directory, "--listen=127.0.0.1:0")
	answers(t, url, demoKey, http.StatusOK)

	// A key of one's own, of which the directory learns the hash alone.
	var manifest, key bytes.Buffer
	command := claviger("key", "mine", "--environment=test")
	command.Stdout, command.Stderr = &manifest, &key
	if err := command.Run(); err != nil {
		t.Fatal(err, key.String())
	}
	mine := strings.TrimSpace(key.String())
	answers(t, url, mine, http.StatusUnauthorized)
	write(t, directory, "mine.yaml", `apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata: {name: mine}
spec: {workspaceRef: {name: shop}, environment: test, ttl: 1h}
---
`+manifest.String())
	answers(t, url, mine, http.StatusOK)

	write(t, directory, "mistake.yaml", "a: [")
	if err := os.Remove(filepath.Join(directory, "mine.yaml")); err != nil {
		t.Fatal(err)
	}
	answers(t, url, mine, http.StatusOK) // before and after the mistake is noticed
	if err := os.Remove(filepath.Join(directory, "mistake.yaml")); err != nil {
		t.Fatal(err)
	}
	answers(t, url, mine, http.StatusUnauthorized)
	answers(t, url, demoKey, http.StatusOK)
	stop()
}

func TestADirectoryWithMistakesIsRefused(t *testing.T) {
	directory := t.TempDir()
	write(t, directory, "keys.yaml", "apiVersion: keys.claviger.dev/v1alpha1\nkind: ApiKey\nmetadata: {name: a}\nspec:\n  scopes: [a]\n")
	for _, flag := range []string{"--listen=127.0.0.1:0", "--check"} {
		output, err := claviger("verifier", "--manifests", directory, flag).CombinedOutput()
		if err == nil || !strings.Contains(string(output), "\nkeys.yaml:4: spec.workspaceRef: Required value") {
			t.Errorf("with %s it ended with %v, and said:\n%s", flag, err, output)
		}
	}
	if output, err := claviger("verifier", "--manifests", "../../examples/edge", "--check").CombinedOutput(); err != nil {
		t.Errorf("one without ended with %v, and said:\n%s", err, output)
	}
}

func TestFlagsThatMakeNoSenseWithoutAClusterAreRefused(t *testing.T) {
	for flag, says := range map[string]string{
		"--admin-listen=:0":     "must be a loopback address",
		"--snapshot-dir=x":      "leave it out",
		"--max-staleness=5m":    "leave it out",
		"--kubeconfig=x":        "leave it out",
		"--listen=somewhere:-1": "choose another address",
	} {
		output, err := claviger("verifier", "--manifests", "../../examples/edge", "--listen=127.0.0.1:0", flag).CombinedOutput()
		if err == nil || !strings.Contains(string(output), says) {
			t.Errorf("with %s it ended with %v, and said:\n%s", flag, err, output)
		}
	}
}

// startVerifier starts a verifier and returns where its doors are. It is stopped with SIGTERM and has
// to end well.
func startVerifier(t *testing.T, args ...string) (url string, stop func()) {
	t.Helper()
	command := claviger(append([]string{"verifier"}, args...)...)
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { command.Process.Kill() }) //nolint:errcheck // it has mostly ended
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		var line struct{ Msg, Doors string }
		t.Log(lines.Text())
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "Listening" {
			url = "http://" + line.Doors
			break
		}
	}
	if url == "" {
		t.Fatal("it ended before it listened")
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		io.Copy(io.Discard, stderr) //nolint:errcheck // until it ends
	}()
	return url, func() {
		t.Helper()
		if err := command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		<-drained
		if err := command.Wait(); err != nil {
			t.Errorf("asked to end, it ended with %v", err)
		}
	}
}

// answers waits until a key is answered so.
func answers(t *testing.T, url, key string, want int) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		request, err := http.NewRequest(http.MethodGet, url+"/v1/auth", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-API-Key", key)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the answer is %d, want %d", response.StatusCode, want)
		}
	}
}

func write(t *testing.T, directory, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
