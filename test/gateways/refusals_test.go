package gateways

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func (s *site) refuses(t *testing.T) {
	const scheme = `Bearer realm="claviger"`
	const invalid = scheme + `, error="invalid_token"`
	keys := s.verifier.keys
	for _, c := range []struct {
		name      string
		target    string
		headers   []string
		status    int
		code      string
		text      string
		challenge string // how WWW-Authenticate begins; empty: there is none
	}{
		{name: "no key", status: 401, code: "KEY_REQUIRED", text: "API key is required", challenge: scheme},
		{name: "noise", headers: bearing("noise"), status: 401, code: "KEY_INVALID", text: "Invalid API key", challenge: invalid},
		{name: "a mistyped key", headers: bearing(keys[keyGood] + "x"), status: 401, code: "KEY_INVALID", text: "Invalid API key", challenge: invalid},
		{name: "an expired key", headers: bearing(keys[keyExpired]), status: 401, code: "KEY_EXPIRED", text: "API key has expired", challenge: invalid},
		{name: "a revoked key", headers: bearing(keys[keyRevoked]), status: 401, code: "KEY_REVOKED", text: "API key has been revoked", challenge: invalid},
		{name: "a disabled key", headers: bearing(keys[keyDisabled]), status: 403, code: "KEY_DISABLED", text: "API key is disabled"},
		{name: "a suspended workspace", headers: bearing(keys[keySuspended]), status: 403, code: "WORKSPACE_SUSPENDED", text: "Workspace is suspended"},
		{name: "a suspended account", headers: bearing(keys[keyAccount]), status: 403, code: "ACCOUNT_SUSPENDED", text: "Service account is suspended"},
		{name: "another workspace", headers: bearing(keys[keyGood], "X-Workspace-Id: tenant/other"), status: 401, code: "KEY_INVALID", text: "Invalid API key", challenge: invalid},
		{name: "a foreign address", headers: bearing(keys[keyFar]), status: 403, code: "ADDRESS_DENIED", text: "API key may not be used from this address"},
		{
			name: "no scopes", headers: bearing(keys[keyBare]), status: 403, code: "SCOPE_INSUFFICIENT", text: "API key does not have the required scope",
			challenge: scheme + `, error="insufficient_scope", error_description="API key does not have the required scope", scope="orders:read"`,
		},
		{
			name: "the scope of another route", target: "/reports/1", headers: bearing(keys[keyGood]), status: 403, code: "SCOPE_INSUFFICIENT", text: "API key does not have the required scope",
			challenge: scheme + `, error="insufficient_scope", error_description="API key does not have the required scope", scope="reports:read"`,
		},
		{
			name: "two keys", headers: bearing(keys[keyGood], "Authorization: Bearer "+keys[keyBare]), status: 400, code: "REQUEST_INVALID", text: "two different keys were sent",
			challenge: scheme + `, error="invalid_request"`,
		},
		{
			name: "two keys in one header", headers: bearing(keys[keyGood], "X-API-Key: "+keys[keyBare]), status: 400, code: "REQUEST_INVALID", text: "two different keys were sent",
			challenge: scheme + `, error="invalid_request"`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := s.send(t, request{target: c.target, headers: append(c.headers, "X-Request-Id: request-4711")})
			if r.StatusCode != c.status {
				t.Errorf("status %d, want %d", r.StatusCode, c.status)
			}
			if p := r.problem(t); p.Code != c.code || !strings.Contains(p.Error, c.text) || p.RequestID != "request-4711" {
				t.Errorf("the client was told %+v", p)
			}
			challenges := r.Header["Www-Authenticate"]
			switch {
			case c.challenge == "" && len(challenges) > 0:
				t.Errorf("WWW-Authenticate is %q", challenges)
			case c.challenge != "" && (len(challenges) != 1 || !strings.HasPrefix(challenges[0], c.challenge)):
				t.Errorf("WWW-Authenticate is %q, want %s…", challenges, c.challenge)
			}
			if n := len(s.upstream.take()); n != 0 {
				t.Errorf("%d requests reached the service", n)
			}
		})
	}
}

func (s *site) tellsWhenToComeBack(t *testing.T) {
	q := request{headers: bearing(s.verifier.keys[keyLimited])}
	passed := s.send(t, q)
	s.arrived(t, passed)
	if got := passed.Header.Get("RateLimit"); strings.HasPrefix(got, `"hour";r=0;t=`) != s.tellsLimits {
		t.Errorf("with a request that passes RateLimit is %q", got)
	}
	r := s.send(t, q)
	if p := r.problem(t); r.StatusCode != http.StatusTooManyRequests || p.Code != "RATE_LIMITED" || p.Error != "Rate limit exceeded. Please try again later." {
		t.Errorf("status %d: %+v", r.StatusCode, p)
	}
	if seconds, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || seconds < 1 || seconds > 3600 {
		t.Errorf("Retry-After is %q", r.Header["Retry-After"])
	}
	if got := r.Header["Ratelimit-Policy"]; len(got) != 1 || got[0] != `"hour";q=1;w=3600` {
		t.Errorf("RateLimit-Policy is %q", got)
	}
	if got := r.Header["Ratelimit"]; len(got) != 1 || !regexp.MustCompile(`^"hour";r=0;t=\d+$`).MatchString(got[0]) {
		t.Errorf("RateLimit is %q", got)
	}
	if n := len(s.upstream.take()); n != 0 {
		t.Errorf("%d requests reached the service", n)
	}
}
