package gateways

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// protects asks of a gateway what every one of them must do. The guides' route /orders/
// requires orders:read, and /reports/ requires reports:read.
func (s *site) protects(t *testing.T) {
	t.Run("lets a good key through", s.letsThrough)
	t.Run("leaves the request as it is", s.leavesTheRequest)
	t.Run("tells the service who calls", s.tellsWhoCalls)
	t.Run("passes no key on", s.passesNoKeyOn)
	t.Run("leaves the service's own answers alone", s.leavesTheAnswer)
	t.Run("refuses in the verifier's words", s.refuses)
	t.Run("tells when to come back", s.tellsWhenToComeBack)
	t.Run("passes no identity on that the client made up", s.stripsSpoofedIdentity)
	t.Run("takes required scopes from its own configuration only", s.ignoresForgedScopes)
	t.Run("holds each route to its own scopes however it is spelled", s.holdsEverySpelling)
	t.Run("passes plain paths", s.leavesPlainPaths)
	t.Run("believes no address that the client made up", s.ignoresForgedAddress)
	t.Run("serves nothing that is not configured", s.servesNothingElse)
	t.Run("says that the verifier is not ready", s.saysNotReady) // from here on it is away
	t.Run("lets nothing through while the verifier is away", s.failsClosed)
	t.Run("writes no key into a log", s.logsNoKey)
}

func (s *site) letsThrough(t *testing.T) {
	r := s.send(t, request{headers: bearing(s.verifier.keys[keyGood])})
	if r.StatusCode != http.StatusOK || r.body != upstreamSays {
		t.Fatalf("status %d: %s", r.StatusCode, r.body)
	}
	if n := len(s.upstream.take()); n != 1 {
		t.Errorf("the service was asked %d times", n)
	}
}

func (s *site) leavesTheRequest(t *testing.T) {
	q := request{
		method:  http.MethodPut,
		target:  "/orders/a%20b?scope=orders:delete&x=%2F&x=2",
		headers: bearing(s.verifier.keys[keyGood], "Content-Type: text/csv", "X-Trace: 1, 2"),
		body:    strings.Repeat("a,b\n", 20_000),
	}
	r := s.send(t, q)
	a := s.arrived(t, r)
	if a.method != q.method || a.target != q.target || a.body != q.body {
		t.Errorf("%s %s with %d bytes arrived as %s %s with %d", q.method, q.target, len(q.body), a.method, a.target, len(a.body))
	}
	for name, want := range map[string]string{"Content-Type": "text/csv", "X-Trace": "1, 2"} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s arrived as %q", name, got)
		}
	}
}

// arrived is what reached the service of a request that must have.
func (s *site) arrived(t *testing.T, r response) arrival {
	t.Helper()
	seen := s.upstream.take()
	if r.StatusCode != http.StatusOK || len(seen) != 1 {
		t.Fatalf("status %d, and the service was asked %d times: %s", r.StatusCode, len(seen), r.body)
	}
	return seen[0]
}

func (s *site) tellsWhoCalls(t *testing.T) {
	a := s.arrived(t, s.send(t, request{headers: bearing(s.verifier.keys[keyGood])}))
	for name, want := range map[string]string{
		"X-Claviger-Key-Name":     keyGood,
		"X-Claviger-Namespace":    "tenant",
		"X-Claviger-Workspace-Id": "tenant/shop",
		"X-Claviger-Environment":  "live",
		"X-Claviger-Scopes":       "orders:read",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s arrived as %q, want %q", name, got, want)
		}
	}
	if a.header.Get("X-Claviger-Key-Id") == "" {
		t.Error("no X-Claviger-Key-Id arrived")
	}
}

func (s *site) passesNoKeyOn(t *testing.T) {
	key := s.verifier.keys[keyGood]
	encoded := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	for name, headers := range map[string][]string{
		"X-API-Key":          {"X-API-Key: " + key},
		"in lower case":      {"x-api-key: " + key},
		"Bearer":             {"Authorization: Bearer " + key},
		"Basic, as user":     {"Authorization: Basic " + encoded(key+":")},
		"Basic, as password": {"Authorization: Basic " + encoded("me:"+key)},
		"Basic, alone":       {"authorization: basic " + encoded(key)},
		"in two places":      {"X-API-Key: " + key, "Authorization: Bearer " + key},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.arrived(t, s.send(t, request{headers: headers}))
			for name, values := range a.header {
				for _, value := range values {
					if strings.Contains(value, key) || strings.Contains(value, encoded(key)) || strings.Contains(value, encoded("me:"+key)) || strings.Contains(value, encoded(key+":")) {
						t.Errorf("%s brought the key to the service", name)
					}
				}
			}
		})
	}
}

func (s *site) leavesTheAnswer(t *testing.T) {
	for _, status := range []int{401, 403, 404, 429, 500, 503} {
		r := s.send(t, request{headers: bearing(s.verifier.keys[keyGood], "Answer-With: "+strconv.Itoa(status))})
		if r.StatusCode != status || r.body != upstreamSays {
			t.Errorf("the service's %d reached the client as %d: %s", status, r.StatusCode, r.body)
		}
	}
	s.upstream.take()
}

func (s *site) failsClosed(t *testing.T) {
	s.verifier.process.Kill()
	s.upstream.take()
	for name, headers := range map[string][]string{
		"a good key": bearing(s.verifier.keys[keyGood]),
		"no key":     nil,
	} {
		r := s.send(t, request{headers: headers})
		if r.StatusCode < 500 {
			t.Errorf("%s: status %d", name, r.StatusCode)
		}
	}
	if n := len(s.upstream.take()); n != 0 {
		t.Errorf("%d requests reached the service", n)
	}
}

// givesUpWaiting is for the gateways that can be told how long to wait.
func (s *site) givesUpWaiting(t *testing.T) {
	defer s.verifier.stall(t)()
	r := s.send(t, request{headers: bearing(s.verifier.keys[keyGood])})
	if r.StatusCode < 500 {
		t.Errorf("status %d: %s", r.StatusCode, r.body)
	}
	if n := len(s.upstream.take()); n != 0 {
		t.Errorf("%d requests reached the service", n)
	}
}

func (s *site) logsNoKey(t *testing.T) {
	for who, log := range map[string]string{"gateway": s.log.String(), "verifier": s.verifier.log.String()} {
		for name, key := range s.verifier.keys {
			if strings.Contains(log, key) {
				t.Errorf("the key %s is in the log of the %s", name, who)
			}
		}
	}
}

func (s *site) servesNothingElse(t *testing.T) {
	for _, target := range []string{"/", "/other", "/v1/auth", "/v1/verify", "/_claviger", "/claviger"} {
		r := s.send(t, request{target: target, headers: bearing(s.verifier.keys[keyGood])})
		if r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d", target, r.StatusCode)
		}
	}
	if n := len(s.upstream.take()); n != 0 {
		t.Errorf("%d requests reached the service", n)
	}
}
