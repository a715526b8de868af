package gateways

import (
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"
)

// ambiguous paths lead to another route in one reading than in another.
var ambiguous = []string{
	"/orders/../reports/1", "/orders/./../reports/1", "/orders/%2e%2e/reports/1", "/orders/.%2E/reports/1",
	"//reports/1", "/./reports/1", "/REPORTS/1", "/%72eports/1", "/orders/x/../../reports/1", "/orders//../../reports/1",
	"http://api.example/reports/1", "/reports", "/reports/", "/reports/?x=/orders/", "/orders/..;/reports/1",
	"/reports/../orders/1", "/reports/..%2forders/1", "/reports/1%2f..%2f..%2forders%2f", "/reports/%2e%2e/orders/1",
	"/orders/..%5creports/1", `/orders/..\reports/1`, "/orders/%252e%252e/reports/1", "/orders/..%252freports/1",
	"/orders/..%3b/reports/1", "/orders/..;x=1/reports/1", "/orders/x/..;/..;/reports/1", "/reports/..", "/orders/..?/reports/1",
}

var parameters = regexp.MustCompile(";[^/]*")

// readings are the paths that services may see in the one that reaches them. Those of the last
// kind are of what Envoy leaves alone.
func readings(target string) (all, beyondEnvoy []string) {
	raw, _, _ := strings.Cut(target, "?")
	once, _ := url.PathUnescape(raw)
	twice, _ := url.PathUnescape(once)
	plain := func(p string) []string {
		slashed := strings.ReplaceAll(p, `\`, "/")
		return []string{p, path.Clean(p), slashed, path.Clean(slashed)}
	}
	all = append(plain(raw), plain(once)...)
	for _, p := range []string{raw, once, twice} {
		beyondEnvoy = append(beyondEnvoy, plain(parameters.ReplaceAllString(p, ""))...)
	}
	return all, append(beyondEnvoy, plain(twice)...)
}

// astray sends each path with the keys of both routes, and returns what reached the service and
// is behind the other's route in one of its readings.
func (s *site) astray(t *testing.T) []string {
	t.Helper()
	var found []string
	for key, forbidden := range map[string]string{keyGood: "/reports", keyReports: "/orders"} {
		for _, target := range ambiguous {
			s.send(t, request{target: target, headers: bearing(s.verifier.keys[key])})
			for _, a := range s.upstream.take() {
				all, more := readings(a.target)
				if !s.leavesParameters {
					all = append(all, more...)
				}
				for _, reading := range all {
					if strings.HasPrefix(strings.ToLower(reading), forbidden) {
						found = append(found, key+" sent "+target+", which arrived as "+a.target+" and may be read as "+reading)
						break
					}
				}
			}
		}
	}
	return found
}

// Two routes, two scopes: none of the two keys reaches what is behind the other's, whichever
// way the service reads the path.
func (s *site) holdsEverySpelling(t *testing.T) {
	for _, fault := range s.astray(t) {
		t.Error(fault)
	}
}

// What is not ambiguous passes.
func (s *site) leavesPlainPaths(t *testing.T) {
	for _, target := range []string{"/orders/.well-known/x", "/orders/a..b/...", "/orders/1.json", "/orders/a%20b", "/orders/1?x=/../;%2f%25//", "/orders/%3Fx"} {
		r := s.send(t, request{target: target, headers: bearing(s.verifier.keys[keyGood])})
		if r.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", target, r.StatusCode)
		}
	}
	s.upstream.take()
}

// Without the rule that refuses ambiguous paths they go astray: the rule is needed, and the test
// would see that it is gone.
func TestAmbiguousPathsGoAstrayWithoutTheRule(t *testing.T) {
	t.Parallel()
	without := func(t *testing.T, text, rule string) string {
		t.Helper()
		rest := regexp.MustCompile(rule).ReplaceAllString(text, "")
		if rest == text {
			t.Fatalf("the guide has no %s", rule)
		}
		return rest
	}
	t.Run("nginx", func(t *testing.T) {
		s := newSite(t)
		s.runNginx(t, without(t, block(t, "nginx.md", "nginx"), `(?m)^\s*if \(\$request_uri .*$`))
		if len(s.astray(t)) == 0 {
			t.Error("none does")
		}
	})
	t.Run("caddy", func(t *testing.T) {
		s := newSite(t)
		text := without(t, block(t, "caddy.md", "caddy"), `(?s)\t@ambiguous .*?\n\t}\n`)
		s.run(t, program(t, "caddy"), "run", "--adapter", "caddyfile", "--config", write(t, t.TempDir(), "Caddyfile", s.configure(t, text)))
		if len(s.astray(t)) == 0 {
			t.Error("none does")
		}
	})
}
