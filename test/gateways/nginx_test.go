package gateways

import (
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

func TestNginx(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.tellsLimits = true
	s.runNginx(t, block(t, "nginx.md", "nginx"))
	t.Run("gives up waiting for the verifier", s.givesUpWaiting)
	s.protects(t)
}

func TestNginxLetsNobodyInWhereRequirementsAreForgotten(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.runNginx(t, replace(t, block(t, "nginx.md", "nginx"), "set $claviger_requires scope=reports:read;", ""))
	for _, key := range []string{keyGood, keyReports} {
		r := s.send(t, request{target: "/reports/1", headers: bearing(s.verifier.keys[key])})
		if r.StatusCode != http.StatusBadRequest || !strings.Contains(r.problem(t).Error, "requirements-are-missing") {
			t.Errorf("status %d: %s", r.StatusCode, r.body)
		}
	}
	if n := len(s.upstream.take()); n != 0 {
		t.Errorf("%d requests reached the service", n)
	}
}

// TestNginx finds out whether the configuration names each header that the verifier tells; an
// Ingress must name the same.
func TestTheIngressCopiesTheSameHeadersAsNginx(t *testing.T) {
	var ingress networkingv1.Ingress
	if err := yaml.UnmarshalStrict([]byte(block(t, "nginx.md", "ingress")), &ingress); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, match := range regexp.MustCompile(`proxy_set_header (X-Claviger-\S+) +\$`).FindAllStringSubmatch(block(t, "nginx.md", "nginx"), -1) {
		want = append(want, match[1])
	}
	got := strings.Split(ingress.Annotations["nginx.ingress.kubernetes.io/auth-response-headers"], ",")
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("the Ingress copies %q, and nginx %q", got, want)
	}
}

// runNginx puts around the guide's file what a distribution's nginx.conf has there. One
// process, so that killing it ends all of it.
func (s *site) runNginx(t *testing.T, text string) {
	t.Helper()
	dir := t.TempDir()
	included := write(t, dir, "claviger.conf", replace(t, s.configure(t, text), "/var/log/nginx/access.log", "/dev/stderr"))
	main := fmt.Sprintf(`
daemon off;
master_process off;
pid %[1]s/nginx.pid;
error_log stderr;
events {}
http {
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	include %[2]s;
}
`, dir, included)
	s.run(t, program(t, "nginx"), "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", write(t, dir, "nginx.conf", main))
}
