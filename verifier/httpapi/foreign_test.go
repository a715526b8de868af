package httpapi

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
)

func basic(text string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(text))
}

// However a key of another format is sent, each door takes it for what it is.
func TestEveryDoorTakesKeysOfOtherFormats(t *testing.T) {
	for _, key := range []string{"ak_live_7fQ2mZ9xW4kT1vB8nR5cJ3hL6pD0sGyA", "9f8e7d6c5b4a39281706f5e4d3c2b1a0", "sk-9f/8+7=a:5b4a,3928%17"} {
		for name, ask := range map[string]struct {
			method, target, body string
			headers              []string
		}{
			"verify":              {"POST", "/v1/verify", `{"key":"` + key + `"}`, nil},
			"verify_batch":        {"POST", "/v1/verify/batch", `{"requests":[{"key":"` + key + `"}]}`, nil},
			"introspect":          {"POST", "/v1/introspect", "token=" + url.QueryEscape(key), []string{"Content-Type: application/x-www-form-urlencoded"}},
			"usage":               {"POST", "/v1/usage", `{"requestId":"r-1","key":"` + key + `"}`, nil},
			"usage by header":     {"POST", "/v1/usage", `{"requestId":"r-2"}`, []string{"X-API-Key: " + key}},
			"scope":               {"GET", "/v1/scope", "", []string{"X-API-Key: " + key}},
			"X-API-Key":           {"GET", "/v1/auth", "", []string{"X-API-Key: " + key}},
			"Bearer":              {"GET", "/v1/auth", "", []string{"Authorization: Bearer " + key}},
			"Bearer for nginx":    {"GET", "/v1/auth/nginx", "", []string{"Authorization: Bearer " + key}},
			"Basic, alone":        {"GET", "/v1/auth", "", []string{basic(key)}},
			"Basic, as user":      {"GET", "/v1/auth", "", []string{basic(key + ":")}},
			"Basic, as password":  {"GET", "/v1/auth", "", []string{basic("x:" + key)}},
			"twice the same":      {"GET", "/v1/auth", "", []string{"X-API-Key: " + key, "Authorization: Bearer " + key}},
			"twice, once as user": {"GET", "/v1/auth", "", []string{"X-API-Key: " + key, basic(key + ":x")}},
		} {
			t.Run(name, func(t *testing.T) {
				f := newFixture(t)
				good := func() bool {
					w := f.do(ask.method, ask.target, ask.body, ask.headers...)
					text := w.Body.String()
					return w.Code == http.StatusOK && !strings.Contains(text, "KEY_INVALID") && !strings.Contains(text, `"active":false`)
				}
				if good() {
					t.Error("it is good before it was brought along")
				}
				if strings.Contains(key, ":") && strings.HasPrefix(name, "Basic, as user") || strings.HasSuffix(name, "as user") && strings.Contains(key, ":") {
					return // where its name ends nobody can tell
				}
				indextest.Bring(t, f.index, "brought", key)
				if !good() {
					t.Errorf("it was refused: %s", f.do(ask.method, ask.target, ask.body, ask.headers...).Body)
				}
			})
		}
	}
}

// Who holds one key must not be able to try others beside it, without being slowed down.
func TestBesideAKeyAnotherFormatMakesNoDifference(t *testing.T) {
	f := newFixture(t)
	indextest.Bring(t, f.index, "brought", "9f8e7d6c5b4a39281706f5e4d3c2b1a0")
	for _, other := range []string{"9f8e7d6c5b4a39281706f5e4d3c2b1a0", "00000000000000000000000000000000"} {
		if w := f.do("GET", "/v1/auth", "", "X-API-Key: "+f.key, "Authorization: Bearer "+other); w.Code != http.StatusOK {
			t.Errorf("beside %s the answer is %d", other, w.Code)
		}
	}
}
