package gateways

import (
	"net/http"
	"strings"
	"testing"
)

// identity is every header that the verifier tells the service with, as the CGI variable
// that it becomes, and what it says of the key good.
func (s *site) identity(t *testing.T) map[string]string {
	r, err := http.NewRequest(http.MethodGet, "http://"+s.verifier.address+"/v1/auth", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-API-Key", s.verifier.keys[keyGood])
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	identity := map[string]string{}
	for name, values := range (arrival{header: answer.Header}).variables() {
		if strings.HasPrefix(name, "X_CLAVIGER_") {
			identity[name] = values[0]
		}
	}
	if len(identity) < 7 {
		t.Fatalf("the verifier told only %v", identity)
	}
	return identity
}

// Whatever the spelling, what arrives is what the verifier said, once.
func (s *site) stripsSpoofedIdentity(t *testing.T) {
	identity := s.identity(t)
	for spelling, spell := range map[string]func(string) string{
		"as documented":    func(name string) string { return http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-")) },
		"in lower case":    func(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "-")) },
		"in upper case":    func(name string) string { return strings.ReplaceAll(name, "_", "-") },
		"with underscores": func(name string) string { return name },
		"half with them":   func(name string) string { return strings.Replace(name, "_", "-", 1) },
		"with the last of it": func(name string) string {
			i := strings.LastIndexByte(name, '_')
			return strings.ReplaceAll(name[:i], "_", "-") + name[i:]
		},
		"with dots":            func(name string) string { return strings.ReplaceAll(name, "_", ".") },
		"with other tokens":    func(name string) string { return strings.ReplaceAll(name, "_", "~") },
		"as hop by hop header": func(name string) string { return "Connection: " + strings.ReplaceAll(name, "_", "-") + "\r\nX-Nothing" },
	} {
		t.Run(spelling, func(t *testing.T) {
			headers := bearing(s.verifier.keys[keyGood])
			for name := range identity {
				headers = append(headers, spell(name)+": forged")
			}
			r := s.send(t, request{headers: headers})
			if r.StatusCode == http.StatusBadRequest {
				if n := len(s.upstream.take()); n != 0 {
					t.Error("it was refused, and reached the service")
				}
				return // refusing it is as good
			}
			got := s.arrived(t, r).variables()
			for name, want := range identity {
				if values := got[name]; strings.Join(values, "|") != want {
					t.Errorf("%s arrived as %q, want %q", name, values, want)
				}
			}
		})
	}
}

// A key without scopes stays outside, whatever its bearer writes into the request.
func (s *site) ignoresForgedScopes(t *testing.T) {
	for name, q := range map[string]request{
		"in the query":          {target: "/orders/1?scope="},
		"in the query, another": {target: "/orders/1?scope=reports:read&anyOf=x"},
		"in the path":           {target: "/orders/%3Fscope=reports:read"},
		"a fragment":            {target: "/orders/1%23?scope=reports:read"},
		"X-Original-URI":        {headers: []string{"X-Original-URI: /v1/auth?scope=reports:read", "X-Original-URL: /v1/auth"}},
		"X-Forwarded-*":         {headers: []string{"X-Forwarded-Uri: /v1/auth", "X-Forwarded-Method: OPTIONS", "X-Forwarded-Host: other.example", "X-Forwarded-Prefix: /open"}},
		"requirements":          {headers: requirementHeaders},
		"hop by hop":            {headers: append([]string{"Connection: X-Claviger-Required-Scopes, X-Claviger-Scope"}, requirementHeaders...)},
		"another method":        {method: http.MethodOptions},
		"X-HTTP-Method":         {headers: []string{"X-HTTP-Method-Override: OPTIONS"}},
	} {
		t.Run(name, func(t *testing.T) {
			q.headers = append(q.headers, bearing(s.verifier.keys[keyBare])...)
			if r := s.send(t, q); r.StatusCode < 400 || r.StatusCode >= 500 {
				t.Errorf("status %d: %s", r.StatusCode, r.body)
			}
			if n := len(s.upstream.take()); n != 0 {
				t.Errorf("%d requests reached the service", n)
			}
			// Nor does it keep out who has them.
			q.headers[len(q.headers)-1] = "X-API-Key: " + s.verifier.keys[keyGood]
			s.arrived(t, s.send(t, q))
		})
	}
}

// What a gateway might be told the requirements of a route by.
var requirementHeaders = []string{
	"X-Claviger-Scope: reports:read",
	"X-Claviger-Scopes: orders:read",
	"X-Claviger-Required-Scopes: reports:read",
	"X-Claviger-Require-Scopes: reports:read",
	"X-Claviger-Any-Of: reports:read",
	"X-Claviger-Resource: any",
	"X-Claviger-Cost: 0",
}

func (s *site) ignoresForgedAddress(t *testing.T) {
	for _, forgery := range []string{
		"X-Forwarded-For: " + farAddress,
		"X-Forwarded-For: " + farAddress + ", 127.0.0.1",
		"x-forwarded-for: " + farAddress + "\r\nX-Forwarded-For: " + farAddress,
		"X_Forwarded_For: " + farAddress,
		"X-Real-IP: " + farAddress,
		"Forwarded: for=" + farAddress,
		"True-Client-IP: " + farAddress,
		"X-Client-IP: " + farAddress,
		"X-Envoy-External-Address: " + farAddress,
		"Connection: X-Forwarded-For\r\nX-Forwarded-For: " + farAddress,
	} {
		r := s.send(t, request{headers: bearing(s.verifier.keys[keyFar], forgery)})
		if n := len(s.upstream.take()); n != 0 {
			t.Errorf("%q: %d requests reached the service", forgery, n)
		}
		if r.StatusCode == http.StatusBadRequest {
			continue // the gateway has none of it
		}
		if r.StatusCode != http.StatusForbidden || r.problem(t).Code != "ADDRESS_DENIED" {
			t.Errorf("%q: status %d: %s", forgery, r.StatusCode, r.body)
		}
		// And who is where he may be is not sent away for what he says.
		s.arrived(t, s.send(t, request{headers: bearing(s.verifier.keys[keyNear], forgery)}))
	}
}
