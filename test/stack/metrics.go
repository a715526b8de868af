package stack

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

// scraper is who may read metrics and nothing else, as a Prometheus would be set up.
const scraper = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: scraper, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: scraper}
rules:
- {nonResourceURLs: [/metrics], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: scraper}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: scraper}
subjects:
- {kind: ServiceAccount, name: scraper, namespace: default}
`

// VerifierMetrics reads the verifier's metrics over its protected port.
func (s *Stack) VerifierMetrics(t testing.TB) string {
	t.Helper()
	s.Apply(t, "default", scraper)
	token := strings.TrimSpace(s.Kubectl(t, "create", "token", "scraper", "-n", "default"))
	answer := s.Protected(t, "/metrics", token)
	if answer.Status != http.StatusOK {
		t.Fatalf("/metrics: %d %s", answer.Status, answer.Body)
	}
	return answer.Body
}

// Protected asks the verifier's protected port with a bearer token, or without any.
func (s *Stack) Protected(t testing.TB, path, token string) Answer {
	t.Helper()
	authority, err := os.ReadFile(s.verifierCA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()

	request, err := http.NewRequest(http.MethodGet, s.verifierAdminURL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return Answer{response.StatusCode, response.Header, string(body)}
}
