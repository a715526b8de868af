package httpapi

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"

	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/verifier"
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

// logged is a fixture without keys, and its log.
func logged(t *testing.T) (*fixture, *strings.Builder) {
	t.Helper()
	f, log := &fixture{index: indextest.New()}, &strings.Builder{}
	v, err := verifier.New(verifier.Options{Index: f.index})
	if err != nil {
		t.Fatal(err)
	}
	f.Handler, err = NewHandler(v, Options{Log: funcr.New(func(_, args string) { log.WriteString(args) }, funcr.Options{Verbosity: 1})})
	if err != nil {
		t.Fatal(err)
	}
	return f, log
}

const foreignKey = "sk-9f8e7d6c5b4a3928"

func TestAnIDWithTheRequestsOwnKeyInItIsReplaced(t *testing.T) {
	for _, id := range []string{foreignKey, "a-" + foreignKey + ".1"} {
		for name, ask := range map[string]struct{ method, target, body, header string }{
			"auth":           {"GET", "/v1/auth", "", "X-API-Key: " + foreignKey},
			"auth, refused":  {"GET", "/v1/auth?scope=admin", "", "X-API-Key: " + foreignKey},
			"auth for nginx": {"GET", "/v1/auth/nginx", "", "Authorization: Bearer " + foreignKey},
			"scope":          {"GET", "/v1/scope", "", "X-API-Key: " + foreignKey},
			"verify":         {"POST", "/v1/verify", `{"key":"` + foreignKey + `"}`, "A: b"},
			"introspect":     {"POST", "/v1/introspect", "token=" + foreignKey, "Content-Type: application/x-www-form-urlencoded"},
			"usage":          {"POST", "/v1/usage", `{"requestId":"r","key":"` + foreignKey + `"}`, "A: b"},
		} {
			t.Run(name, func(t *testing.T) {
				f, log := logged(t)
				indextest.Bring(t, f.index, "brought", foreignKey)
				w := f.do(ask.method, ask.target, ask.body, ask.header, "X-Request-Id: "+id)
				if w.Code == http.StatusUnauthorized || w.Header().Get("X-Request-Id") == "" {
					t.Fatalf("got %d, %v", w.Code, w.Header())
				}
				if strings.Contains(w.Body.String()+w.Header().Get("X-Request-Id")+log.String(), foreignKey) {
					t.Errorf("the key is repeated: %v %s, or logged: %s", w.Header(), w.Body, log)
				}
			})
		}
	}
}

func TestAReportWithTheKeyForItsIDIsRefused(t *testing.T) {
	f := newFixture(t)
	indextest.Bring(t, f.index, "brought", foreignKey)
	const text = "Bad request: requestId holds the key; state that of the decision"
	for name, w := range map[string]func() string{
		"in the body": func() string {
			return problemOf(t, f.do("POST", "/v1/usage", `{"requestId":"`+foreignKey+`","key":"`+foreignKey+`"}`)).Error
		},
		"in the header": func() string {
			return problemOf(t, f.do("POST", "/v1/usage", `{}`, "X-Request-Id: "+foreignKey, "X-API-Key: "+foreignKey)).Error
		},
		"in a list": func() string {
			got := read[results](t, f.do("POST", "/v1/usage", `{"reports":[{"requestId":"`+foreignKey+`","key":"`+foreignKey+`"}]}`)).Results[0]
			if got.Status != http.StatusBadRequest || got.RequestID != "" {
				t.Errorf("in a list: %+v", got)
			}
			return got.Error
		},
	} {
		if got := w(); got != text {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// A key of another format that comes as an ID alone is kept out of the log. The answer must not tell that it is one.
func TestAKeyForAnIDIsNotLoggedAndCannotBeTold(t *testing.T) {
	f, log := logged(t)
	ask := func(id string) string {
		w := f.do("GET", "/v1/auth", "", "X-Request-Id: "+id)
		return strings.ReplaceAll(w.Header().Get("X-Request-Id")+w.Body.String(), id, "the ID")
	}
	indextest.Bring(t, f.index, "brought", foreignKey)
	if a, b := ask(foreignKey), ask("sk-0000000000000000"); a != b {
		t.Errorf("a key is answered %s, another ID %s", a, b)
	}
	if text := log.String(); strings.Contains(text, foreignKey) || !strings.Contains(text, "(redacted)") || !strings.Contains(text, "sk-0000000000000000") {
		t.Errorf("logged is %s", text)
	}
}
