package verifierclient

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// verifier serves answer over HTTPS and returns a client that trusts it.
func verifier(t *testing.T, token string, answer http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewTLSServer(answer)
	t.Cleanup(server.Close)
	c, err := New(Options{
		URL: server.URL, Timeout: 30 * time.Second,
		CAFile:    file(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})),
		TokenFile: file(t, []byte(token)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func file(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func empty(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(struct{}{}) } //nolint:errcheck // a test

func get(c *Client) error {
	var into struct{}
	return c.Get(context.Background(), "/path", nil, &into)
}

func TestTheTokenIsTheOneThatTheFileHolds(t *testing.T) {
	var got string
	c := verifier(t, "mounted", func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
		empty(w, r)
	})
	if err := get(c); err != nil || got != "Bearer mounted" {
		t.Errorf("sent %q, %v", got, err)
	}
}

func TestTheTokenDoesNotFollowARedirect(t *testing.T) {
	reached := false
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer elsewhere.Close()
	c := verifier(t, "secret", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusFound)
	})
	if err := get(c); err == nil || reached {
		t.Errorf("redirected: %v, %v", reached, err)
	}
}

func TestARenewedAuthorityIsTrustedWithoutARestart(t *testing.T) {
	c := verifier(t, "token", empty)
	right, err := os.ReadFile(c.o.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(c.o.CAFile); err != nil {
		t.Fatal(err)
	}
	if err := get(c); err == nil || !strings.Contains(err.Error(), "authority") {
		t.Errorf("without an authority: %v", err)
	}
	for content, works := range map[string]bool{"no certificate": false, string(right): true} {
		if err := os.WriteFile(c.o.CAFile, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := get(c); (err == nil) != works {
			t.Errorf("with an authority that is one: %v: %v", works, err)
		}
	}
}

func TestTheCertificateIsForTheURLsHostWhateverAddressIsDialled(t *testing.T) {
	reached := 0
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached++
		empty(w, r)
	}))
	defer server.Close()
	ca := file(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	for url, works := range map[string]bool{"https://example.com:8443": true, "https://elsewhere.invalid:8443": false} {
		c, err := New(Options{
			URL: url, CAFile: ca, TokenFile: file(t, []byte("token")), Timeout: 30 * time.Second,
			Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		before := reached
		if err := get(c); (err == nil) != works || (reached > before) != works {
			t.Errorf("%s: %v, reached %d times", url, err, reached-before)
		}
	}
}

func TestTheTokenIsOnlySentOverHTTPS(t *testing.T) {
	for _, url := range []string{"http://verifier:8443", "verifier:8443", "https://", "https://:8443", "::"} {
		if _, err := New(Options{URL: url}); err == nil || !strings.Contains(err.Error(), "--verifier-url") {
			t.Errorf("%s: %v, want an error that names the flag", url, err)
		}
	}
}
