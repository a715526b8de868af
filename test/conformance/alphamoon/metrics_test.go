package alphamoon

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// operatorMetrics reads the operator's metrics as who may read metrics.
func operatorMetrics(t *testing.T) string {
	t.Helper()
	claviger.VerifierMetrics(t) // makes the account
	token := strings.TrimSpace(claviger.Kubectl(t, "create", "token", "scraper", "-n", "default"))
	text, err := os.ReadFile(filepath.Join(claviger.Dir, "ports.json"))
	if err != nil {
		t.Fatal(err)
	}
	var ports struct{ Metrics int }
	if err := json.Unmarshal(text, &ports); err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(http.MethodGet, fmt.Sprintf("https://127.0.0.1:%d/metrics", ports.Metrics), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	// The operator's metrics have a certificate of its own making, that nobody can know.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // loopback, in a test
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("the operator's /metrics: %d %v\n%s", response.StatusCode, err, body)
	}
	return string(body)
}
