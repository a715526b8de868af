package httpapi

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
)

func TestABearerLearnsWhatItsKeyIs(t *testing.T) {
	end := metav1.NewTime(now.Add(time.Hour))
	f := newFixture(t, func(s *spec) {
		s.ExpiresAt = &end
		s.LimitRefs = indextest.Refs("once")
		s.Metadata = map[string]v1alpha1.MetadataValue{"note": "pays late"}
	})
	indextest.SetLimit(f.index, "once", 1, time.Minute, 1)
	want := `{"requestId":"r","key":{"id":"` + string(indextest.UID("key", "k")) + `","name":"k","namespace":"tenant","workspace":"tenant/shop","environment":"live",` +
		`"scopes":["read","write"],"expiresAt":"2026-03-01T14:00:00Z"},"limits":[{"name":"once","unit":"requests","limit":1,"remaining":1,"resetAt":"2026-03-01T13:00:00Z"}]}`
	for range 3 { // asking takes nothing
		w := f.do("GET", "/v1/scope", "", "X-API-Key: "+f.key, "X-Request-Id: r")
		if w.Code != 200 || w.Body.String() != want {
			t.Errorf("got %d\n%s, want\n%s", w.Code, w.Body, want)
		}
		if got := w.Header().Get("RateLimit"); got != `"minute";r=1;t=0` {
			t.Errorf("RateLimit is %s", got)
		}
	}
	f.do("GET", "/v1/auth", "", "X-API-Key: "+f.key)
	if w := f.do("HEAD", "/v1/scope", "", "X-API-Key: "+f.key); w.Code != 200 || w.Header().Get("RateLimit") != `"minute";r=0;t=60` {
		t.Errorf("with nothing left: %d %v", w.Code, w.Header())
	}
}

func TestABearerIsToldLikeAtTheDoorWhyNot(t *testing.T) {
	tests := map[string]struct {
		method, target string
		headers        []string
		status         int
		code           string
	}{
		"no key":             {"GET", "/v1/scope", nil, 401, "KEY_REQUIRED"},
		"noise":              {"GET", "/v1/scope", []string{"Authorization: Bearer noise"}, 401, "KEY_INVALID"},
		"another workspace":  {"GET", "/v1/scope", []string{"X-API-Key: %k", "X-Workspace-Id: a/b"}, 401, "KEY_INVALID"},
		"a missing scope":    {"GET", "/v1/scope?scope=admin", []string{"X-API-Key: %k"}, 403, "SCOPE_INSUFFICIENT"},
		"a misspelt query":   {"GET", "/v1/scope?resorce=a", []string{"X-API-Key: %k"}, 400, "REQUEST_INVALID"},
		"the wrong method":   {"POST", "/v1/scope", []string{"X-API-Key: %k"}, 405, "METHOD_NOT_ALLOWED"},
		"two different keys": {"GET", "/v1/scope", []string{"X-API-Key: %k, other"}, 400, "REQUEST_INVALID"},
	}
	f := newFixture(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := f.do(test.method, test.target, "", withKey(test.headers, f.key)...)
			if p := problemOf(t, w); w.Code != test.status || p.Code != test.code {
				t.Errorf("got %d %s, want %d %s", w.Code, p.Code, test.status, test.code)
			}
		})
	}
}
